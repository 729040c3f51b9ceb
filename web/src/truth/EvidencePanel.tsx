// The passage in its source: the extracted text around it, with the quote highlighted and in view. All of it is plain
// text, whatever the source holds.

import { useEffect, useLayoutEffect, useRef, useState, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { Failure, open as fetchFrom } from "../api/client";
import { usePassage } from "../api/sources";
import type { Passage } from "../api/types";
import { copyText } from "../markdown/CodeBlock";
import { CheckIcon, CloseIcon, CopyIcon, ReceiptIcon } from "../ui/icons";
import { toastError } from "../ui/toasts";
import { evidence, type Opened } from "./evidence";
import { explanation, MarkIcon } from "./Mark";
import { citationText } from "./shown";

const FIRST = 1500;
const MOST = 60_000;

export function EvidencePanel() {
  const opened = useSyncExternalStore(evidence.subscribe, evidence.get);
  if (!opened) return null;
  const { file_id, start, end } = opened.citation;
  return (
    <>
      <div className="evidence-scrim" onClick={() => evidence.close()} />
      <Panel key={`${file_id} ${start} ${end}`} opened={opened} />
    </>
  );
}

function Panel({ opened }: { opened: Opened }) {
  const { t } = useTranslation();
  const { citation } = opened;
  const [around, setAround] = useState(FIRST);
  const { data: passage, error } = usePassage(citation.file_id, citation.start, citation.end, around);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  const held = passage && passage.quote === citation.quote;
  const facts = passage && [passage.page !== null && t(passage.pages > 0 ? "pageOf" : "page", { page: passage.page, count: passage.pages }), passage.date].filter(Boolean);
  // A document's first heading is its title as a rule.
  const path = passage?.headings.filter((heading) => heading !== passage.title) ?? [];
  return (
    <aside
      className="evidence"
      aria-label={t("evidence.title")}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.stopPropagation();
        evidence.close();
      }}
    >
      <header>
        <div>
          <h2 ref={heading} tabIndex={-1} dir="auto">
            {passage?.title || passage?.name || citation.filename}
          </h2>
          {passage && (
            <p className="facts">
              {passage.title && passage.title !== passage.name && <span dir="auto">{passage.name}</span>}
              {facts?.map((fact) => <span key={String(fact)}>{fact}</span>)}
            </p>
          )}
          {path.length > 0 && (
            <p className="path" dir="auto">
              {path.join(" › ")}
            </p>
          )}
        </div>
        <button type="button" className="icon" aria-label={t("close")} title={t("close")} onClick={() => evidence.close()}>
          <CloseIcon />
        </button>
      </header>
      <div className="evidence-text" tabIndex={0} role="region" aria-label={t("evidence.text")}>
        {error && <Lost opened={opened} text={error instanceof Failure && error.status === 404 ? t("evidence.gone") : error.message} />}
        {passage && !held && <Lost opened={opened} text={t("evidence.changed")} />}
        {passage && held && <Surroundings passage={passage} more={around < MOST} onMore={() => setAround(Math.min(MOST, around * 4))} />}
        {!passage && !error && <p className="note">{t("loading")}</p>}
      </div>
      <footer>
        <p className="mark-note" data-mark={opened.mark}>
          <MarkIcon kind={opened.mark} />
          <span>{explanation(opened.mark, opened.confidence, t)}</span>
        </p>
        <div className="evidence-actions">
          <CopyCitation opened={opened} />
          {opened.receipt && <Receipt id={opened.receipt} />}
          {citation.url && /^https?:/.test(citation.url) && (
            <a href={citation.url} target="_blank" rel="noreferrer noopener">
              {t("evidence.web")}
            </a>
          )}
        </div>
      </footer>
    </aside>
  );
}

function Surroundings({ passage, more, onMore }: { passage: Passage; more: boolean; onMore: () => void }) {
  const { t } = useTranslation();
  const mark = useRef<HTMLElement>(null);
  const before = useRef<{ top: number; from: number } | null>(null);
  useLayoutEffect(() => {
    const box = mark.current?.closest(".evidence-text");
    if (!mark.current || !box) return;
    if (before.current === null) {
      const room = Math.max(24, (box.clientHeight - mark.current.offsetHeight) / 3);
      box.scrollTop = mark.current.offsetTop - room;
    } else if (before.current.from !== passage.from) {
      // More text above it: what is read stays where it is.
      box.scrollTop += mark.current.offsetTop - before.current.top;
    }
    before.current = { top: mark.current.offsetTop, from: passage.from };
  }, [passage.from, passage.to]);
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

/** The words as they were quoted, where the source does not have them any more. */
function Lost({ opened, text }: { opened: Opened; text: string }) {
  return (
    <>
      <p className="failed" role="alert">
        {text}
      </p>
      <blockquote className="source-text" dir="auto">
        {opened.citation.quote}
      </blockquote>
    </>
  );
}

function CopyCitation({ opened }: { opened: Opened }) {
  const { t } = useTranslation();
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1500);
    return () => clearTimeout(timer);
  }, [copied]);
  const text = citationText(opened.citation, { page: (page) => t("page", { page }) });
  return (
    <button type="button" onClick={() => void copyText(text).then(() => setCopied(true))}>
      {copied ? <CheckIcon size={15} /> : <CopyIcon size={15} />}
      {t(copied ? "copied" : "evidence.copy")}
    </button>
  );
}

/** Hands the signed receipt to the browser as a file, for `candor verify`. */
function Receipt({ id }: { id: string }) {
  const { t } = useTranslation();
  const save = async () => {
    try {
      const response = await fetchFrom("GET", `v1/receipts/${encodeURIComponent(id)}`);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await response.blob());
      link.download = `receipt-${id}.json`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    } catch (error) {
      toastError(error);
    }
  };
  return (
    <button type="button" title={t("evidence.receiptNote", { id })} onClick={() => void save()}>
      <ReceiptIcon size={15} />
      {t("evidence.receipt")}
    </button>
  );
}
