// Before the first question: a greeting and a few to begin with.

import { useTranslation } from "react-i18next";
import { Logo } from "../ui/icons";

const examples = ["explain", "list", "code", "letter"] as const;

/** `owner` is who runs the model: `candor` is this machine. */
export function Empty({ owner, onChoose }: { owner: string; onChoose: (text: string) => void }) {
  const { t } = useTranslation();
  return (
    <div className="empty">
      <Logo size={44} />
      <h2>{t("emptyTitle")}</h2>
      <p>{owner === "candor" ? t("emptyText") : t("emptyElsewhere", { owner })}</p>
      <ul>
        {examples.map((example) => (
          <li key={example}>
            <button type="button" onClick={() => onChoose(t(`examples.${example}`))}>
              {t(`examples.${example}`)}
            </button>
          </li>
        ))}
      </ul>
      <p className="hint">{t("emptySources")}</p>
      {owner === "candor" && (
        <p className="hint">
          {t("emptyHint")
            .split("`")
            .map((part, n) => (n % 2 ? <code key={part}>{part}</code> : part))}
        </p>
      )}
    </div>
  );
}
