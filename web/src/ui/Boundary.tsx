// Keeps a part of the page that fails from taking the rest with it.

import { Component, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

interface Props {
  /** What is shown instead. */
  fallback: ReactNode;
  /** With another value it is tried again. */
  of?: unknown;
  children: ReactNode;
}

export class Boundary extends Component<Props, { failed: boolean; of: unknown }> {
  state = { failed: false, of: this.props.of };
  static getDerivedStateFromError = () => ({ failed: true });
  static getDerivedStateFromProps = (props: Props, state: { failed: boolean; of: unknown }) =>
    props.of === state.of ? null : { failed: false, of: props.of };

  render(): ReactNode {
    return this.state.failed ? this.props.fallback : this.props.children;
  }
}

/** Where the whole page failed: what is saved is on the server, so a reload is safe. */
export function Broken() {
  const { t } = useTranslation();
  return (
    <div className="broken" role="alert">
      <p>{t("broken")}</p>
      <button type="button" onClick={() => location.reload()}>
        {t("reload")}
      </button>
    </div>
  );
}
