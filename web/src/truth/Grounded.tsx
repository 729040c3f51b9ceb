// An answer that is made of quotes, or of a model's memory, or of neither. A source's words are shown as plain text: no
// Markdown, no markup, no image in them is ever acted upon.

import { useTranslation } from "react-i18next";
import type { Candor, Message, Sentence } from "../api/types";
import { Markdown } from "../markdown/Markdown";
import { Abstained } from "./Abstained";
import { evidence } from "./evidence";
import { Explained, explanation, MarkButton, MarkIcon } from "./Mark";
import { around, laidOut, markOf, shownOf, sure } from "./shown";

export function Grounded({ message, candor, busy }: { message: Message; candor: Candor; busy: boolean }) {
  const { t } = useTranslation();
  const shown = shownOf(candor);
  if (shown.kind === "abstained") return <Abstained message={message} candor={candor} busy={busy} />;
  if (shown.kind === "memory") return <Memory text={shown.text} confidence={shown.confidence} />;
  const { short, disputed, sentences } = shown;
  return (
    <div className="grounded">
      {short && (
        <p className="short" dir="auto">
          {short}
        </p>
      )}
      {disputed.length > 0 && (
        <section className="disputed" aria-label={t("disagree")}>
          <h2>{t("disagree")}</h2>
          <div className="sides">
            {disputed.map((sentence, n) => (
              <div key={n} className="side">
                <time dir="auto">{sentence.citations[0]?.date ?? t("noDate")}</time>
                <Quoted sentence={sentence} short={n === 0 ? candor.short : null} receipt={candor.receipt} dated />
              </div>
            ))}
          </div>
        </section>
      )}
      {sentences.map((sentence, n) => (
        <Quoted key={n} sentence={sentence} short={n === 0 ? short : null} receipt={candor.receipt} />
      ))}
    </div>
  );
}

/** A sentence with its marks: one for each source that has it. `dated`: its date stands above it already. */
function Quoted({ sentence, short, receipt, dated = false }: { sentence: Sentence; short: string | null; receipt: string | null; dated?: boolean }) {
  const kind = markOf(sentence);
  const [before, bold, after] = around(laidOut(sentence.text), short === null ? null : laidOut(short));
  const first = sentence.citations[0];
  // For the mouse alone: the button below does the same for everyone.
  const open = () => {
    if (first && !getSelection()?.toString()) evidence.open({ citation: first, mark: first.stale ? "stale" : kind, confidence: sentence.confidence, receipt });
  };
  return (
    <figure className="quoted" data-mark={kind}>
      <blockquote dir="auto" onClick={open}>
        {before}
        {bold && <b>{bold}</b>}
        {after}
      </blockquote>
      <figcaption>
        {sentence.citations.map((citation, n) => (
          <MarkButton key={n} kind={kind} citation={citation} confidence={sentence.confidence} receipt={receipt} dated={dated} />
        ))}
      </figcaption>
    </figure>
  );
}

function Memory({ text, confidence }: { text: string; confidence: number }) {
  const { t } = useTranslation();
  return (
    <section className="memory" aria-label={t("marks.memory")}>
      <Explained text={explanation("memory", confidence, t)} side="top">
        <button type="button" className="mark-button" data-mark="memory">
          <MarkIcon kind="memory" />
          <span className="mark-word">{t("marks.memory")}</span>
          <span className="mark-sure">{t("sure", { percent: sure(confidence) })}</span>
          <span>{t("memoryNote")}</span>
        </button>
      </Explained>
      <Markdown text={text} />
    </section>
  );
}
