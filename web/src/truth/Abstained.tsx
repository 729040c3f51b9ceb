// No answer, and no dead end: why, what is nearest, what would help, and three ways on.
// The server's advice says the same in English; here it is said in the page's language.

import { useTranslation } from "react-i18next";
import { regenerate } from "../api/hooks";
import { useShelf } from "../api/sources";
import type { Candor, Message } from "../api/types";
import { percent } from "../settings/DialMenu";
import { addSources } from "../sources/adding";
import { pickFiles } from "../sources/files";
import { UnsureIcon } from "../ui/icons";
import { toastError } from "../ui/toasts";
import { MarkButton } from "./Mark";
import { sure } from "./shown";

/** Characters of a passage that are shown in the card. */
const GLIMPSE = 220;

export function Abstained({ message, candor, busy }: { message: Message; candor: Candor; busy: boolean }) {
  const { t } = useTranslation();
  const nearest = candor.nearest ?? [];
  const memory = message.sampling !== null;
  const reading = useShelf().data?.reading ?? 0;
  const again = (how?: { dial: number | null; memory?: boolean }) => void regenerate(message.conversation, message.id, how).catch(toastError);
  const add = () => pickFiles((files) => addSources(files, message.conversation));
  const values = { percent: sure(candor.confidence), dial: candor.dial === null ? t("dial.off") : percent(candor.dial) };
  const why = memory ? "abstained.memory" : nearest.length === 0 ? "abstained.nothing" : "abstained.unsure";
  return (
    <section className="abstained" aria-label={t("abstained.title")}>
      <h2>
        <UnsureIcon size={19} />
        {t("abstained.title")}
      </h2>
      <p>{t(why, values)}</p>
      {nearest.length > 0 && (
        <>
          <h3>{t("abstained.nearest")}</h3>
          <ul>
            {nearest.map((citation, n) => (
              <li key={n}>
                <p dir="auto">{glimpse(citation.quote)}</p>
                <MarkButton kind="near" citation={citation} confidence={null} receipt={candor.receipt} />
              </li>
            ))}
          </ul>
        </>
      )}
      <p className="help">{reading > 0 ? t("abstained.reading", { count: reading }) : t("abstained.help")}</p>
      <div className="ways">
        {reading > 0 && (
          <button type="button" disabled={busy} onClick={() => again()}>
            {t("regenerate")}
          </button>
        )}
        {candor.dial !== null && nearest.length > 0 && (
          <button type="button" disabled={busy} onClick={() => again({ dial: null })}>
            {t("abstained.anyway")}
          </button>
        )}
        <button type="button" onClick={add}>
          {t("abstained.add")}
        </button>
        <button type="button" disabled={busy} onClick={() => again({ dial: null, memory: true })}>
          {t("abstained.askMemory")}
        </button>
      </div>
    </section>
  );
}

function glimpse(text: string): string {
  // A heading stands in a paragraph of its own.
  const words = text.trim().replace(/\n\s*\n/g, " · ").replace(/\s+/g, " ");
  return words.length > GLIMPSE * 1.2 ? `${words.slice(0, GLIMPSE)}…` : words;
}
