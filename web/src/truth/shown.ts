// What an answer from sources looks like, worked out without a server: which parts it has, and how it reads as text.

import type { Candor, Citation, Mark, Sentence } from "../api/types";

export type Shown =
  | { kind: "quotes"; short: string | null; disputed: Sentence[]; sentences: Sentence[] }
  | { kind: "memory"; text: string; confidence: number }
  | { kind: "abstained"; nearest: Citation[] };

export function shownOf(candor: Candor): Shown {
  if (candor.outcome === "abstained") return { kind: "abstained", nearest: candor.nearest ?? [] };
  if (candor.sentences.length > 0 && candor.sentences.every(({ mark }) => mark === "memory")) {
    return { kind: "memory", text: candor.sentences.map(({ text }) => text).join(" "), confidence: candor.confidence };
  }
  const disputed = candor.sentences.filter(({ mark, stale }) => mark === "disputed" && !stale);
  return {
    kind: "quotes",
    // Where sources disagree there is no one short answer.
    short: disputed.length > 1 ? null : candor.short,
    disputed: disputed.length > 1 ? disputed : [],
    sentences: disputed.length > 1 ? candor.sentences.filter((one) => !disputed.includes(one)) : candor.sentences,
  };
}

/** A probability in whole percent. Nothing here is certain, so never 0 or 100. */
export function sure(confidence: number): number {
  return Math.min(99, Math.max(1, Math.round(confidence * 100)));
}

/** What a sentence's mark is now: one that no source bears out any more has lost it. */
export const markOf = (sentence: Sentence): Mark | "stale" => (sentence.stale ? "stale" : sentence.mark);

/** A sentence, cut where its short answer stands in it. */
export function around(text: string, short: string | null): [string, string, string] {
  const at = short ? text.indexOf(short) : -1;
  if (!short || at < 0) return [text, "", ""];
  return [text.slice(0, at), short, text.slice(at + short.length)];
}

/** A text with its lists line by line, and all other lines, which end where a page did, as one. */
export function laidOut(text: string): string {
  const item = /^(?:[-*+\u2022\u00b7\u2013\u2014]|\(?(?:\d{1,3}|[A-Za-z])[.)])(?:\s|$)/;
  return text.replace(/\s*\n\s*/g, (gap, at: number) => (item.test(text.slice(at + gap.length)) ? "\n" : " "));
}

/** A quote with where it stands, for other documents. */
export function citationText(citation: Citation, words: Words): string {
  return `\u201c${citation.quote.replace(/\s+/g, " ").trim()}\u201d (${placeText(citation, words)})`;
}

interface Words {
  page: (page: number) => string;
}

function placeText(citation: Citation, words: Words): string {
  return [citation.filename, citation.page === undefined ? "" : words.page(citation.page), citation.date ?? "", citation.url ?? ""].filter(Boolean).join(", ");
}

/** The answer with its sources, for the clipboard. */
export function answerText(candor: Candor, words: Words): string {
  const lines = candor.sentences.map(({ text, mark, citations }) => {
    // The model's words are never put between quotation marks.
    if (mark === "supported") return `${text} (${citations.map((one) => placeText(one, words)).join("; ")})`;
    return citations.length > 0 ? citations.map((one) => citationText(one, words)).join("\n") : text;
  });
  const memory = candor.sentences.every(({ mark }) => mark === "memory");
  return lines.join(memory ? " " : "\n");
}
