// The passage in its source, highlighted and in view: on the picture of its page where the source is a PDF whose file is at
// hand, else, or where that is chosen, in the extracted text around it.

import { lazy, Suspense, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { Failure, open as fetchFrom } from "../api/client";
import { usePassage } from "../api/sources";
import type { Passage } from "../api/types";
import { Boundary } from "../ui/Boundary";
import { useCopy } from "../ui/clipboard";
import { CheckIcon, CloseIcon, CopyIcon, ReceiptIcon } from "../ui/icons";
import { recall, remember } from "../ui/memory";
import { toastError } from "../ui/toasts";
import { evidence, type Opened } from "./evidence";
import { explanation, MarkIcon } from "./Mark";
import { citationText } from "./shown";
import { Surroundings } from "./Surroundings";

/** With pdf.js, so only where there is a page to draw. */
const PagePicture = lazy(() => import("../pdf/PagePicture"));

/** Whether pages are shown as pictures, as this browser's reader chose last. */
const VIEW = "candor-page-view";
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
        {passage && held && citation.moved && <p className="note">{t(`evidence.moved.${citation.moved}`)}</p>}
        {passage && held && <Held passage={passage} more={around < MOST} onMore={() => setAround(Math.min(MOST, around * 4))} />}
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

/** A passage that its source still has. */
function Held(text: { passage: Passage; more: boolean; onMore: () => void }) {
  const { t } = useTranslation();
  const { kind, page } = text.passage;
  const [picture, setPicture] = useState(() => recall(VIEW) !== "text");
  // Where its words are not highlighted on the picture, they stand below it.
  const [found, setFound] = useState(true);
  if (kind !== "pdf" || page === null) return <Surroundings {...text} />;
  const choose = (picture: boolean) => {
    remember(VIEW, picture ? "picture" : "text");
    setFound(true);
    setPicture(picture);
  };
  return (
    <>
      <div className="views" role="group" aria-label={t("evidence.view")}>
        {[true, false].map((one) => (
          <button key={String(one)} type="button" aria-pressed={picture === one} onClick={() => choose(one)}>
            {t(one ? "evidence.asPicture" : "evidence.asText")}
          </button>
        ))}
      </div>
      {picture && (
        <Boundary fallback={<Unloaded onShown={setFound} />}>
          <Suspense fallback={<p className="note loading">{t("pdf.drawing")}</p>}>
            <PagePicture passage={text.passage} page={page} onFound={setFound} />
          </Suspense>
        </Boundary>
      )}
      {(!picture || !found) && <Surroundings {...text} below={picture} />}
    </>
  );
}

/** The part of this page that draws PDFs did not come: the server has another version now, or cannot be reached. */
function Unloaded({ onShown }: { onShown: (found: boolean) => void }) {
  const { t } = useTranslation();
  useEffect(() => onShown(false), [onShown]);
  return (
    <p className="picture-note" role="status">
      {t("pdf.unloaded")}
    </p>
  );
}

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
  const [copied, copy] = useCopy();
  const text = citationText(opened.citation, { page: (page) => t("page", { page }) });
  return (
    <button type="button" onClick={() => copy(text)}>
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
