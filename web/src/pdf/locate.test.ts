import { describe, expect, it } from "vitest";
import { boxes } from "./boxes";
import { locate, type Run } from "./locate";
import { sizeOf } from "./size";

const runs = (...texts: string[]) => texts.map((str) => ({ str }));
/** What is highlighted, run by run. */
const found = (texts: string[], quote: string, before = "") => locate(runs(...texts), quote, before).map(({ run, from, to }) => texts[run]?.slice(from, to));

describe("a passage on a page", () => {
  it("is found over line ends, spaces and hyphenated words", () => {
    const page = ["Permits and fees", "A stall permit is valid for nine-", "ty days from the day  it was", "issued. It can be renewed."];
    expect(found(page, "A stall permit is valid for ninety days\nfrom the day it was issued.")).toEqual(["A stall permit is valid for nine", "ty days from the day  it was", "issued."]);
  });
  it("is found where ligatures, quotation marks and accents are written in another way", () => {
    expect(found(["The o\ufb03ce isn\u2019t \u201copen\u201d at the cafe\u0301."], 'The office isn\'t "open" at the caf\u00e9.')).toEqual(["The o\ufb03ce isn\u2019t \u201copen\u201d at the cafe\u0301."]);
  });
  it("is found in Chinese, where a run ends anywhere", () => {
    expect(found(["许可证自签发之日起九", "十天内有效，可以续期", "两次。"], "自签发之日起九十天内有效")).toEqual(["自签发之日起九", "十天内有效"]);
  });
  it("is found in a table, whose cells were joined by bars", () => {
    expect(found(["Stall", "Fee", "Food", "24 euros"], "Food | 24 euros")).toEqual(["Food", "24 euros"]);
  });
  it("is told from the same words elsewhere by what stands before it", () => {
    const page = ["The fee is 24 euros. In winter", "the fee is 24 euros. Later more."];
    expect(locate(runs(...page), "the fee is 24 euros.", "In winter\n")[0]?.run).toBe(1);
    expect(locate(runs(...page), "the fee is 24 euros.", "")[0]?.run).toBe(0);
  });
  it("is highlighted as far as the page goes where it goes on overleaf, and from its end where it began there", () => {
    const quote = "Applications go to the market office in room 12, where an answer comes within two weeks.";
    expect(found(["Fees.", "Applications go to the market office in", "2"], quote)).toEqual(["Applications go to the market office in"]);
    expect(found(["Guide", "room 12, where an answer comes within two weeks.", "More of it."], quote)).toEqual(["room 12, where an answer comes within two weeks."]);
  });
  it("is found whole where a few characters of its middle were read in another way", () => {
    const page = ["The bridge over the Lenne was fin\u0001\u0001\u0001\u0001 in the year 1821 by Anna."];
    expect(found(page, "The bridge over the Lenne was finished in the year 1821")).toEqual(["The bridge over the Lenne was fin\u0001\u0001\u0001\u0001 in the year 1821"]);
  });
  it("that is not there is not found, and neither is one that only begins like another", () => {
    const page = ["The council decides that the pool opens in May.", ...Array.from({ length: 40 }, (_, n) => `Line ${n} of other words.`)];
    expect(found(page, "The council decides that the school is closed for good.")).toEqual([]);
    expect(found(page, "Nothing of the kind stands here.")).toEqual([]);
    expect(found(page, "")).toEqual([]);
    expect(found([], "words")).toEqual([]);
  });
  it("of a long page is found quickly", () => {
    const page = Array.from({ length: 4000 }, (_, n) => `aaaa aaaa aaab ${n}`);
    const start = performance.now();
    expect(found(page, `${"a".repeat(4000)}c`)).toEqual([]);
    expect(performance.now() - start).toBeLessThan(1000);
  });
});

describe("the boxes of a passage", () => {
  const run = (str: string, x: number, y: number, more: Partial<Run> = {}): Run => ({ str, dir: "ltr", transform: [10, 0, 0, 10, x, y], width: str.length * 5, height: 10, fontName: "f", ...more });
  const sheet = { width: 200, height: 100, convertToViewportPoint: (x: number, y: number) => [x, 100 - y] };
  const measure = (text: string) => text.length;
  const drawn = (all: Run[], ...stretches: [number, number, number][]) => boxes(all, stretches.map(([run, from, to]) => ({ run, from, to })), sheet, measure).map(({ left, top, width, height }) => [left, top, width, height].map((share) => Math.round(share * 1000) / 1000));

  it("lie over the letters that are quoted, in shares of the page", () => {
    expect(drawn([run("abcdefghij", 20, 50)], [0, 2, 6])).toEqual([[0.15, 0.414, 0.1, 0.11]]);
  });
  it("are one box a line, over the spaces between words", () => {
    const all = [run("abcd", 20, 50), run("efgh", 45, 50), run("ijkl", 20, 30)];
    expect(drawn(all, [0, 0, 4], [1, 0, 4], [2, 0, 4])).toHaveLength(2);
  });
  it("of what is read from the right begin there", () => {
    expect(drawn([run("abcdefghij", 20, 50, { dir: "rtl" })], [0, 0, 2])[0]?.[0]).toBe(0.3);
  });
  it("stay on the page, and are left out where a run has no size", () => {
    expect(drawn([run("abcd", 190, 50)], [0, 0, 4])[0]?.[2]).toBe(0.05);
    expect(drawn([run("abcd", 20, 50, { transform: [0, 0, 0, 0, 0, 0] })], [0, 0, 4])).toEqual([]);
  });
});

describe("the picture of a page", () => {
  it("is as wide as its place, and sharp where the screen is", () => {
    expect(sizeOf({ width: 600, height: 800 }, 300, 1, 2)).toEqual({ width: 300, height: 400, scale: 1 });
    expect(sizeOf({ width: 600, height: 800 }, 300, 2, 2)?.scale).toBe(2);
  });
  it("never has more pixels than a canvas may have, however large the page says it is", () => {
    for (const page of [{ width: 14_400, height: 14_400 }, { width: 10, height: 14_400 }, { width: 1e9, height: 1 }, { width: 600, height: 800 }]) {
      const size = sizeOf(page, 2000, 3, 4);
      const [width, height] = [page.width * (size?.scale ?? 0), page.height * (size?.scale ?? 0)];
      expect(Math.max(width, height)).toBeLessThanOrEqual(8193);
      expect(width * height).toBeLessThanOrEqual(12_000_001);
      expect(size?.height).toBeLessThanOrEqual(8193);
    }
    expect(sizeOf({ width: 0, height: 800 }, 300, 1, 1)).toBe(null);
    expect(sizeOf({ width: Number.NaN, height: 800 }, 300, 1, 1)).toBe(null);
  });
});
