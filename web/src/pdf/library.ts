// pdf.js, as this page uses it. The one file that imports it; it comes to the browser with PagePicture.tsx, and that only
// when a PDF's page is to be drawn: pdf.js and its worker are larger than the rest of the page. Everything it asks for while it reads a document comes from
// this server, by the names that the build gave it.

import { getDocument, GlobalWorkerOptions, type PDFDocumentLoadingTask } from "pdfjs-dist/legacy/build/pdf.mjs";
import worker from "pdfjs-dist/legacy/build/pdf.worker.min.mjs?url";
import jpeg2000 from "pdfjs-dist/wasm/openjpeg_nowasm_fallback.js?url";

/** What characters mean in documents that embed no such table: most Chinese, Japanese and Korean ones of some age. */
const characterMaps = import.meta.glob<string>("/node_modules/pdfjs-dist/cmaps/*.bcmap", { query: "?url", import: "default", eager: true });

/** The fonts that a document may name without having them: no two systems have the same ones under these names. */
const fonts = import.meta.glob<string>("/node_modules/pdfjs-dist/standard_fonts/*.{pfb,ttf}", { query: "?url", import: "default", eager: true });

/** Pixels of a picture in a document; a larger one is left out. */
const MOST_IMAGE = 40_000_000;

GlobalWorkerOptions.workerSrc = worker;

async function bytesOf(files: Record<string, string>, name: string): Promise<Uint8Array> {
  const address = Object.entries(files).find(([path]) => path.endsWith(`/${name}`))?.[1];
  if (!address) throw new Error(`pdf.js asked for ${name}, which does not come with the page`);
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${name} could not be loaded`);
  return new Uint8Array(await response.arrayBuffer());
}

class CharacterMaps {
  async fetch({ name }: { name: string }) {
    return { cMapData: await bytesOf(characterMaps, `${name}.bcmap`), isCompressed: true };
  }
}

class StandardFonts {
  fetch({ filename }: { filename: string }) {
    return bytesOf(fonts, filename);
  }
}

/** Begins to read a document. Nothing in it is run, and nothing is fetched from elsewhere. */
export function read(data: Uint8Array): PDFDocumentLoadingTask {
  return getDocument({
    data,
    CMapReaderFactory: CharacterMaps,
    StandardFontDataFactory: StandardFonts,
    useWorkerFetch: false,
    useSystemFonts: false,
    // The page's policy allows neither.
    isEvalSupported: false,
    useWasm: false,
    // pdf.js puts the name of its decoder of JPEG 2000 behind this, which ends in a query, so that ours is found.
    wasmUrl: `${new URL(jpeg2000, document.baseURI)}?/`,
    maxImageSize: MOST_IMAGE,
    enableXfa: false,
    verbosity: 0,
  });
}
