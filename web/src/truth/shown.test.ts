import { describe, expect, it } from "vitest";
import type { Candor, Citation, Sentence } from "../api/types";
import { answerText, around, citationText, laidOut, markOf, shownOf, sure } from "./shown";

const citation: Citation = { file_id: "file-1", filename: "Hall.pdf", start: 4, end: 30, quote: "The hall was\n built in 1874.", page: 3, date: "1990-02-01" };
const sentence = (more: Partial<Sentence> = {}): Sentence => ({ text: "The hall was built in 1874.", mark: "quoted", confidence: 0.9, citations: [citation], ...more });
const candor = (more: Partial<Candor> = {}): Candor => ({ outcome: "answered", short: "1874", confidence: 0.9, dial: 0.1, sentences: [sentence()], receipt: "r", ...more });
const words = { page: (page: number) => `page ${page}` };

describe("an answer from sources", () => {
  it("has its short answer on top where the sources agree", () => {
    expect(shownOf(candor())).toMatchObject({ kind: "quotes", short: "1874", disputed: [] });
  });
  it("has no short answer where they disagree, and both sides beside each other", () => {
    const sides = [sentence({ mark: "disputed" }), sentence({ mark: "disputed", text: "It was built in 1934." })];
    expect(shownOf(candor({ sentences: [...sides, sentence({ text: "Further." })] }))).toMatchObject({ kind: "quotes", short: null, disputed: sides, sentences: [{ text: "Further." }] });
  });
  it("does not count a side that its source has taken back", () => {
    const sides = [sentence({ mark: "disputed" }), sentence({ mark: "disputed", stale: true })];
    const shown = shownOf(candor({ sentences: sides }));
    expect(shown).toMatchObject({ kind: "quotes", disputed: [] });
    expect(sides.map(markOf)).toEqual(["disputed", "stale"]);
  });
  it("from memory is one block with one confidence", () => {
    const memory = [sentence({ mark: "memory", text: "A.", citations: [] }), sentence({ mark: "memory", text: "B.", citations: [] })];
    expect(shownOf(candor({ sentences: memory, confidence: 0.3 }))).toEqual({ kind: "memory", text: "A. B.", confidence: 0.3 });
  });
  it("that is none shows the nearest passages", () => {
    expect(shownOf(candor({ outcome: "abstained", sentences: [], nearest: [citation] }))).toEqual({ kind: "abstained", nearest: [citation] });
  });
});

describe("what is said of an answer", () => {
  it("is never certain, whatever a file claims", () => {
    expect([0.942, 1, 0, -3, 7, Number.NaN].map((p) => sure(p) || "none")).toEqual([94, 99, 1, 1, 99, "none"]);
  });
  it("is set apart by the short answer", () => {
    expect(around("built in 1874, they say", "1874")).toEqual(["built in ", "1874", ", they say"]);
    expect(around("built in 1874", "1934")).toEqual(["built in 1874", "", ""]);
  });
  it("keeps the lines of a list and no others", () => {
    expect(laidOut("You need\nthese papers:\n\n- a passport\r\n  1. a form,\n signed")).toBe("You need these papers:\n- a passport\n1. a form, signed");
    expect(laidOut("built in\n1874. Later")).toBe("built in 1874. Later");
  });
  it("is copied with its place", () => {
    expect(citationText(citation, words)).toBe("\u201cThe hall was built in 1874.\u201d (Hall.pdf, page 3, 1990-02-01)");
    const said = sentence({ mark: "supported", text: "It dates from 1874." });
    expect(answerText(candor({ sentences: [said] }), words)).toBe("It dates from 1874. (Hall.pdf, page 3, 1990-02-01)");
    expect(answerText(candor(), words)).toBe("\u201cThe hall was built in 1874.\u201d (Hall.pdf, page 3, 1990-02-01)");
  });
});
