// The PDF that is open. One at a time: the next one takes its place, and its memory is given back.

import type { PDFDocumentLoadingTask, PDFDocumentProxy } from "pdfjs-dist";
import { Failure, open as fetchFrom } from "../api/client";
import { read } from "./library";

/** Why a page is not drawn. */
export type Trouble = "noFile" | "large" | "locked" | "broken" | "slow";

interface Open {
  /** The source and the hash of its file: a file that was replaced is another document. */
  key: string;
  document: Promise<PDFDocumentProxy>;
}

let now: Open | null = null;
let reading: PDFDocumentLoadingTask | null = null;

/** The document of a source; it is fetched and read where it is not the one that is open. */
export function documentOf(source: string, sha256: string): Promise<PDFDocumentProxy> {
  const key = `${source} ${sha256}`;
  if (now?.key === key) return now.document;
  const before = reading;
  reading = null;
  void before?.destroy();
  const opened: Open = { key, document: fetchAndRead(source, () => now === opened) };
  now = opened;
  // What failed is tried again the next time.
  opened.document.catch(() => {
    if (now === opened) now = null;
  });
  return opened.document;
}

async function fetchAndRead(source: string, wanted: () => boolean): Promise<PDFDocumentProxy> {
  const response = await fetchFrom("GET", `api/sources/${encodeURIComponent(source)}/original`);
  const data = new Uint8Array(await response.arrayBuffer());
  if (!wanted()) throw new Error("another document was opened");
  const task = read(data);
  reading = task;
  return task.promise;
}

/** What an error means for the reader. Of pdf.js's errors the names are what it promises. */
export function troubleOf(error: unknown): Trouble {
  if (error instanceof Failure) return error.status === 413 ? "large" : "noFile";
  if (error instanceof Error && error.name === "PasswordException") return "locked";
  if (error instanceof Error && error.name === "RenderingCancelledException") return "slow";
  return "broken";
}
