// A page of a PDF as a picture, with the passage highlighted where its words are found on it. Only a canvas and boxes: no
// link, form or script of the document does anything here.

import type { PDFDocumentProxy, PDFPageProxy } from "pdfjs-dist";
import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Passage } from "../api/types";
import { LeftIcon, MinusIcon, PlusIcon, RightIcon } from "../ui/icons";
import { type Box, boxes } from "./boxes";
import { documentOf, type Trouble, troubleOf } from "./document";
import { locate, type Run } from "./locate";
import { sizeOf, zooms } from "./size";

/** Time after which a page is given up, in milliseconds. */
const PATIENCE = 20_000;

interface Props {
  passage: Passage;
  page: number;
  /** Told whether the passage is highlighted on its page. */
  onFound: (found: boolean) => void;
}

/** The default export, so that it can be loaded when it is needed. */
export default function PagePicture({ passage, page: first, onFound }: Props) {
  const { t } = useTranslation();
  const [pdf, setPdf] = useState<PDFDocumentProxy | null>(null);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const [number, setNumber] = useState(first);
  const [zoom, setZoom] = useState(0);
  const [unmarked, setUnmarked] = useState(false);
  const { id, bytes_sha256: sha256, quote, before } = passage;

  useEffect(() => {
    let left = false;
    documentOf(id, sha256).then(
      (pdf) => {
        if (left) return;
        setNumber((number) => Math.min(number, pdf.numPages));
        setPdf(pdf);
      },
      (error: unknown) => !left && setTrouble(troubleOf(error)),
    );
    return () => {
      left = true;
    };
  }, [id, sha256]);

  useEffect(() => {
    if (trouble) onFound(false);
  }, [trouble, onFound]);

  if (trouble) {
    return (
      <p className="picture-note" role="status">
        {t(`pdf.${trouble}`)}
      </p>
    );
  }
  if (!pdf) {
    return (
      <p className="note loading" role="status">
        {t("pdf.drawing")}
      </p>
    );
  }
  const tell = (found: boolean) => {
    if (number !== first) return;
    setUnmarked(!found);
    onFound(found);
  };
  const step = (by: number) => setZoom((now) => Math.min(zooms.length - 1, Math.max(0, now + by)));
  return (
    <div className="picture">
      <div className="picture-tools" role="toolbar" aria-label={t("pdf.tools")}>
        <button type="button" className="icon" aria-label={t("pdf.previous")} title={t("pdf.previous")} disabled={number <= 1} onClick={() => setNumber(number - 1)}>
          <LeftIcon />
        </button>
        <span aria-live="polite">{t("pageOf", { page: number, count: pdf.numPages })}</span>
        <button type="button" className="icon" aria-label={t("pdf.next")} title={t("pdf.next")} disabled={number >= pdf.numPages} onClick={() => setNumber(number + 1)}>
          <RightIcon />
        </button>
        <span className="filler" />
        <button type="button" className="icon" aria-label={t("pdf.smaller")} title={t("pdf.smaller")} disabled={zoom === 0} onClick={() => step(-1)}>
          <MinusIcon />
        </button>
        <button type="button" className="icon" aria-label={t("pdf.larger")} title={t("pdf.larger")} disabled={zoom === zooms.length - 1} onClick={() => step(1)}>
          <PlusIcon />
        </button>
      </div>
      {unmarked && number === first && (
        <p className="picture-note" role="status">
          {t("pdf.unmarked")}
        </p>
      )}
      <Sheet pdf={pdf} number={number} zoom={zooms[zoom] ?? 1} name={passage.title || passage.name} quote={quote} before={before} onFound={tell} onTrouble={setTrouble} />
    </div>
  );
}

interface SheetProps {
  pdf: PDFDocumentProxy;
  number: number;
  zoom: number;
  name: string;
  quote: string;
  before: string;
  onFound: (found: boolean) => void;
  onTrouble: (trouble: Trouble) => void;
}

function Sheet({ pdf, number, zoom, name, quote, before, onFound, onTrouble }: SheetProps) {
  const { t } = useTranslation();
  const place = useRef<HTMLDivElement>(null);
  const mark = useRef<HTMLElement>(null);
  const room = useWidth(place);
  const [drawn, setDrawn] = useState<{ canvas: HTMLCanvasElement; width: number; height: number; number: number } | null>(null);
  const [found, setFound] = useState<{ boxes: Box[]; number: number } | null>(null);
  const told = useRef({ onFound, onTrouble });
  told.current = { onFound, onTrouble };

  useEffect(() => {
    let left = false;
    void marksOf(pdf, number, quote, before)
      // A page whose text cannot be read has no highlight, and is drawn all the same.
      .catch(() => [])
      .then((boxes) => {
        if (left) return;
        setFound({ boxes, number });
        told.current.onFound(boxes.length > 0);
      });
    return () => {
      left = true;
    };
  }, [pdf, number, quote, before]);

  useEffect(() => {
    if (room === 0) return;
    const drawing = new AbortController();
    draw(pdf, number, room, zoom, drawing.signal).then(
      (drawn) => drawing.signal.aborted || setDrawn({ ...drawn, number }),
      (error: unknown) => drawing.signal.aborted || told.current.onTrouble(troubleOf(error)),
    );
    return () => drawing.abort();
  }, [pdf, number, room, zoom]);

  // The canvas is made while the one before it is still shown, so that nothing flickers.
  const paper = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (drawn) paper.current?.replaceChildren(drawn.canvas);
  }, [drawn]);
  const marks = drawn && found?.number === drawn.number ? found.boxes : [];
  const shown = drawn?.number;
  useLayoutEffect(() => {
    const box = mark.current?.closest(".evidence-text");
    if (!mark.current || !box) return;
    const [own, outer] = [mark.current.getBoundingClientRect(), box.getBoundingClientRect()];
    const seen = own.top >= outer.top && own.bottom <= outer.bottom && own.left >= outer.left && own.right <= outer.right;
    if (seen) return;
    box.scrollTop += own.top - outer.top - box.clientHeight / 3;
    box.scrollLeft += own.left - outer.left - 24;
  }, [shown, zoom, marks.length]);

  return (
    <div ref={place} className="picture-place">
      <div
        className="sheet"
        role="img"
        aria-busy={shown !== number}
        aria-label={t(marks.length > 0 ? "pdf.pictureWithPassage" : "pdf.picture", { page: shown ?? number, name })}
        style={drawn ? { width: drawn.width, height: drawn.height } : undefined}
      >
        <div ref={paper} />
        {marks.map(({ left, top, width, height }, n) => (
          <mark key={n} ref={n === 0 ? mark : undefined} style={{ left: `${left * 100}%`, top: `${top * 100}%`, width: `${width * 100}%`, height: `${height * 100}%` }} />
        ))}
      </div>
      {!drawn && (
        <p className="note loading" role="status">
          {t("pdf.drawing")}
        </p>
      )}
    </div>
  );
}

/** The width that a part of the page has, as it changes. */
function useWidth(of: React.RefObject<HTMLElement | null>): number {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    if (!of.current) return;
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    observer.observe(of.current);
    return () => observer.disconnect();
  }, [of]);
  return width;
}

async function draw(pdf: PDFDocumentProxy, number: number, room: number, zoom: number, signal: AbortSignal) {
  const page = await pdf.getPage(number);
  const size = sizeOf(page.getViewport({ scale: 1 }), room, zoom, window.devicePixelRatio);
  if (!size) throw new Error("the page has no size");
  const viewport = page.getViewport({ scale: size.scale });
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(viewport.width));
  canvas.height = Math.max(1, Math.round(viewport.height));
  signal.throwIfAborted();
  const task = page.render({ canvas, viewport });
  const cancel = () => task.cancel();
  signal.addEventListener("abort", cancel);
  const timer = setTimeout(cancel, PATIENCE);
  try {
    await task.promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", cancel);
  }
  return { canvas, width: size.width, height: size.height };
}

async function marksOf(pdf: PDFDocumentProxy, number: number, quote: string, before: string): Promise<Box[]> {
  const page: PDFPageProxy = await pdf.getPage(number);
  const { items, styles } = await page.getTextContent();
  const runs = items.filter((item) => "str" in item) as Run[];
  const stretches = locate(runs, quote, before);
  const pen = document.createElement("canvas").getContext("2d");
  const measure = (text: string, run: Run) => {
    if (!pen) return text.length;
    pen.font = `20px ${styles[run.fontName]?.fontFamily ?? "sans-serif"}`;
    return pen.measureText(text).width;
  };
  return boxes(runs, stretches, page.getViewport({ scale: 1 }), measure);
}
