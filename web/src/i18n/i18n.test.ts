import { describe, expect, it } from "vitest";
import en from "./en.json";
import zh from "./zh-CN.json";

type Tree = { [key: string]: string | Tree };

function flat(tree: Tree, prefix = ""): Map<string, string> {
  const all = new Map<string, string>();
  for (const [key, value] of Object.entries(tree)) {
    if (typeof value === "string") all.set(prefix + key, value);
    else flat(value, `${prefix}${key}.`).forEach((text, inner) => all.set(inner, text));
  }
  return all;
}

describe("the languages", () => {
  const [english, chinese] = [flat(en), flat(zh)];
  it("have the same keys", () => expect([...chinese.keys()].sort()).toEqual([...english.keys()].sort()));
  it("fill in the same values", () => {
    const holes = (text = "") => [...new Set(text.match(/\{\{\w+\}\}/g))].sort();
    for (const [key, text] of english) expect(holes(chinese.get(key)), key).toEqual(holes(text));
  });
});
