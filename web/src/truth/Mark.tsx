// The quiet mark behind a sentence: how it is borne out, where it stands, how sure that is. Told by a word and a shape, not
// by colour alone; more about it in a tooltip; a click or Enter opens the passage.

import { Tooltip } from "radix-ui";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import type { Citation, Mark } from "../api/types";
import { BrokenIcon, CheckIcon, DisputeIcon, MemoryIcon, QuoteIcon, UnsureIcon } from "../ui/icons";
import { evidence } from "./evidence";
import { sure } from "./shown";

export type Kind = Mark | "stale" | "near";

const icons = { quoted: QuoteIcon, supported: CheckIcon, memory: MemoryIcon, disputed: DisputeIcon, stale: BrokenIcon, near: UnsureIcon };

export function MarkIcon({ kind }: { kind: Kind }) {
  const Icon = icons[kind];
  return <Icon size={14} />;
}

interface Props {
  kind: Kind;
  citation: Citation;
  confidence: number | null;
  receipt: string | null;
  /** The date stands elsewhere. */
  dated?: boolean;
}

/** A mark that opens the passage. */
export function MarkButton({ kind, citation, confidence, receipt, dated }: Props) {
  const { t } = useTranslation();
  const mark = citation.stale ? "stale" : kind;
  return (
    <Explained text={explanation(mark, confidence, t)}>
      <button type="button" className="mark-button" data-mark={mark} onClick={() => evidence.open({ citation, mark, confidence, receipt })}>
        <MarkIcon kind={mark} />
        <span className="mark-word">{t(`marks.${mark}`)}</span>
        <span className="mark-file" dir="auto">
          {citation.filename}
        </span>
        {citation.page !== undefined && <span>{t("page", { page: citation.page })}</span>}
        {citation.date && !dated && <span>{citation.date}</span>}
        {confidence !== null && mark !== "near" && <span className="mark-sure">{t("sure", { percent: sure(confidence) })}</span>}
        <span className="sr-only">{t("showPassage")}</span>
      </button>
    </Explained>
  );
}

/** What a mark means, in a sentence or two. */
export function explanation(kind: Kind, confidence: number | null, t: (key: string, values?: Record<string, unknown>) => string): string {
  const meaning = t(`meaning.${kind}`);
  return confidence === null || kind === "near" || kind === "stale" ? meaning : `${meaning} ${t(kind === "memory" ? "sureMemory" : "sureLong", { percent: sure(confidence) })}`;
}

export function Explained({ text, side = "bottom", children }: { text: string; side?: "top" | "bottom"; children: ReactNode }) {
  return (
    <Tooltip.Provider delayDuration={350} skipDelayDuration={200}>
      <Tooltip.Root>
        <Tooltip.Trigger asChild>{children}</Tooltip.Trigger>
        <Tooltip.Portal>
          <Tooltip.Content className="tooltip" side={side} align="start" sideOffset={6} collisionPadding={12}>
            {text}
          </Tooltip.Content>
        </Tooltip.Portal>
      </Tooltip.Root>
    </Tooltip.Provider>
  );
}
