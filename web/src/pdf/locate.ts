// Where a passage stands on a page. The server extracted it from the same file with another program: spaces, line ends,
// hyphens, ligatures and accents differ, so letters are compared, without all of these.

/** A run of text, as pdf.js gives it: `transform` leads from the run's own units to the page's. */
export interface Run {
  str: string;
  dir: string;
  transform: number[];
  width: number;
  height: number;
  fontName: string;
}

/** A part of a run: UTF-16 units of its `str`. */
export interface Stretch {
  run: number;
  from: number;
  to: number;
}

/** Letters of which at least so many must agree, where not all do. */
const FEW = 12;
/** Letters at a page's beginning and end that a header or a footer may take. */
const MARGIN = 240;
/** Letters before a passage that tell it from the same words elsewhere on the page. */
const CONTEXT = 40;

const alike: Record<string, string> = { "\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2212": "" };
/** Spaces, control and invisible characters, dashes, accents that were taken off their letters, and what the extractor puts
    between the cells of a table. */
const dropped = /[\s\p{C}\p{Pd}\p{M}|]/gu;

function letters(character: string): string {
  return (alike[character] ?? character.normalize("NFKD")).replace(dropped, "").toLowerCase();
}

/** The letters of a text, for comparing. */
export const plain = (text: string): string => Array.from(text, letters).join("");

interface Page {
  letters: string;
  /** For each letter its run, and where its character begins and ends there. */
  runs: number[];
  from: number[];
  to: number[];
}

function read(runs: readonly Pick<Run, "str">[]): Page {
  const page: Page = { letters: "", runs: [], from: [], to: [] };
  const parts: string[] = [];
  runs.forEach(({ str }, run) => {
    let at = 0;
    for (const character of str) {
      const found = letters(character);
      for (let n = 0; n < found.length; n++) {
        page.runs.push(run);
        page.from.push(at);
        page.to.push(at + character.length);
      }
      parts.push(found);
      at += character.length;
    }
  });
  page.letters = parts.join("");
  return page;
}

/** The parts of the page's runs that the quote takes; none where it is not found. `before` is what stands before it. */
export function locate(runs: readonly Pick<Run, "str">[], quote: string, before = ""): Stretch[] {
  const page = read(runs);
  const range = find(page.letters, plain(quote), plain(before.slice(-4 * CONTEXT)).slice(-CONTEXT));
  if (!range) return [];
  const stretches: Stretch[] = [];
  for (let n = range[0]; n < range[1]; n++) {
    const [run, from, to] = [page.runs[n] ?? 0, page.from[n] ?? 0, page.to[n] ?? 0];
    const last = stretches.at(-1);
    if (last?.run === run) last.to = Math.max(last.to, to);
    else stretches.push({ run, from, to });
  }
  return stretches;
}

function find(page: string, quote: string, before: string): [number, number] | null {
  if (!quote) return null;
  const there = before ? page.indexOf(before + quote) : -1;
  const at = there >= 0 ? there + before.length : page.indexOf(quote);
  if (at >= 0) return [at, at + quote.length];
  // It goes on overleaf, began overleaf, or a character of it was read in another way.
  const head = longest(quote.length, (length) => page.indexOf(quote.slice(0, length)));
  const tail = longest(quote.length, (length) => page.lastIndexOf(quote.slice(quote.length - length)));
  if (head.length + tail.length >= Math.max(FEW, quote.length / 2) && head.length >= FEW && tail.length >= FEW) {
    const between = tail.at - (head.at + head.length);
    const missing = quote.length - head.length - tail.length;
    // A letter or two behind the odd character may be the same as it by chance, and count twice.
    if (between >= -4 && Math.abs(between - missing) <= 8 + missing / 4) return [head.at, tail.at + tail.length];
  }
  if (head.length >= FEW && head.at + head.length >= page.length - MARGIN) return [head.at, head.at + head.length];
  if (tail.length >= FEW && tail.at <= MARGIN) return [tail.at, tail.at + tail.length];
  return null;
}

/** The greatest length that is found, by halving: where a part is found, so is every shorter one. */
function longest(most: number, find: (length: number) => number): { length: number; at: number } {
  let [length, at, beyond] = [0, -1, most];
  while (length + 1 < beyond) {
    const middle = (length + beyond) >> 1;
    const found = find(middle);
    if (found < 0) beyond = middle;
    else [length, at] = [middle, found];
  }
  return { length, at };
}
