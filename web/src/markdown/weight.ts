// What is too heavy to typeset. Model output is hostile input: nesting without end, or a formula of 40,000 characters,
// would hold up the page for minutes. Such a block is shown as the text it is, and the page says so. The limits are far
// above what people write: a block is one paragraph, list or table.

/** Characters of a block; of one that is all code. */
const LONGEST = 20_000;
const LONGEST_CODE = 500_000;
/** Characters that mean something in Markdown, of a block: each may start something that is looked for to the end. */
const MARKS = 3_000;
/** Quotes and lists inside each other, on one line; braces inside each other, in a formula. */
const DEEPEST = 30;
/** What formulas may cost: each counts `EACH` and its characters. Of a block, and of a whole answer. */
const EACH = 30;
const FORMULAS = 6_000;
const ALL_FORMULAS = 60_000;
/** Characters of a whole answer. */
const ALL = 400_000;

/** `full`: as Markdown with formulas; `text`: Markdown, formulas as they were written; `plain`: all as it was written. */
export type Setting = "full" | "text" | "plain";

/** How each block of an answer is set. A block's setting depends on those before it, so that it stays while the answer grows. */
export function settings(blocks: string[]): Setting[] {
  let characters = 0;
  let formulas = 0;
  return blocks.map((block) => {
    characters += block.length;
    if (characters > ALL) return "plain";
    if (/^ {0,3}(```|~~~)/.test(block)) return block.length > LONGEST_CODE ? "plain" : "full";
    if (block.length > LONGEST || count(block, /[[\]*_`<!~|\\&@]/g) > MARKS || depth(block) > DEEPEST) return "plain";
    const cost = formulaCost(block);
    formulas += cost;
    return cost > FORMULAS || formulas > ALL_FORMULAS ? "text" : "full";
  });
}

const count = (text: string, what: RegExp) => text.match(what)?.length ?? 0;

/** The most quotes, list items and steps of indentation that a line begins with. */
function depth(block: string): number {
  let deepest = 0;
  for (const line of block.split("\n")) {
    const start = /^(?:[ \t]|>|[-*+](?=[ \t]|$)|\d{1,9}[.)](?=[ \t]|$))*/.exec(line)?.[0] ?? "";
    const marks = count(start, />|[-*+]|\d+[.)]/g);
    const indent = count(start, / /g) / 2 + count(start, /\t/g) * 2 - marks;
    deepest = Math.max(deepest, marks + Math.max(0, indent));
  }
  return deepest;
}

function formulaCost(block: string): number {
  if (!block.includes("$")) return 0;
  let cost = 0;
  for (const [formula] of block.matchAll(/\$[^$]+\$?/g)) {
    cost += EACH + formula.length;
    let open = 0;
    for (const one of formula) {
      if (one === "{") open++;
      else if (one === "}") open--;
      if (open > DEEPEST) return Number.POSITIVE_INFINITY;
    }
    // What may stand inside each other without braces.
    if (count(formula, /\\(left|begin)\b/g) > DEEPEST) return Number.POSITIVE_INFINITY;
  }
  return cost;
}
