// A passage in the extracted text around it, highlighted and in view. All of it is plain text, whatever the source holds.

import { useLayoutEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import type { Passage } from "../api/types";

interface Props {
  passage: Passage;
  /** Whether there may be more of it. */
  more: boolean;
  onMore: () => void;
  /** Below a picture it is read after that, and does not scroll to itself. */
  below?: boolean;
}

export function Surroundings({ passage, more, onMore, below = false }: Props) {
  const { t } = useTranslation();
  const mark = useRef<HTMLElement>(null);
  const before = useRef<{ top: number; from: number } | null>(null);
  useLayoutEffect(() => {
    const box = mark.current?.closest(".evidence-text");
    if (!mark.current || !box) return;
    if (before.current === null) {
      const room = Math.max(24, (box.clientHeight - mark.current.offsetHeight) / 3);
      if (!below) box.scrollTop = mark.current.offsetTop - room;
    } else if (before.current.from !== passage.from) {
      // More text above it: what is read stays where it is.
      box.scrollTop += mark.current.offsetTop - before.current.top;
    }
    before.current = { top: mark.current.offsetTop, from: passage.from };
  }, [passage.from, passage.to, below]);
  return (
    <>
      {passage.from > 0 && <More show={more} label={t("evidence.before")} onMore={onMore} />}
      <p className="source-text" dir="auto">
        {passage.before}
        <mark ref={mark}>{passage.quote}</mark>
        {passage.after}
      </p>
      {passage.to < passage.size && <More show={more} label={t("evidence.after")} onMore={onMore} />}
    </>
  );
}

const More = ({ show, label, onMore }: { show: boolean; label: string; onMore: () => void }) =>
  show ? (
    <button type="button" className="link" onClick={onMore}>
      {label}
    </button>
  ) : (
    <p className="note">…</p>
  );
