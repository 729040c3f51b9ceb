// Formulas: KaTeX is a third of the page's code, so it is fetched when the first formula shows up. This does what
// rehype-katex does, but builds elements where that parses markup: a parser applies the style attributes that KaTeX
// writes, which the Content-Security-Policy forbids, while styles set by script are the script's own.

import "katex/dist/katex.min.css";
import type { Element, ElementContent, Root } from "hast";
import { fromDom } from "hast-util-from-dom";
import { toText } from "hast-util-to-text";
import katex from "katex";
import remarkMath from "remark-math";
import { SKIP, visitParents } from "unist-util-visit-parents";

export { remarkMath };

/** KaTeX loads no file and trusts no command; sizes and the number of expansions of macros are bounded. */
const options = { trust: false, strict: "ignore", throwOnError: true, maxSize: 20, maxExpand: 500 } as const;

/** Replaces what remark-math marked, and fences of the language `math`, by what KaTeX makes of it. */
export function rehypeFormulas() {
  return (tree: Root): void => {
    visitParents(tree, "element", (element, parents) => {
      const classes = Array.isArray(element.properties.className) ? element.properties.className : [];
      if (!["language-math", "math-inline", "math-display"].some((name) => classes.includes(name))) return;
      const above = parents.at(-1);
      const fenced = element.tagName === "code" && above?.type === "element" && above.tagName === "pre";
      const parent = fenced ? parents.at(-2) : above;
      const replaced: Element = fenced ? above : element;
      if (!parent) return;
      const formula = toText(replaced, { whitespace: "pre" });
      parent.children.splice(parent.children.indexOf(replaced), 1, ...typeset(formula, fenced || classes.includes("math-display")));
      return SKIP;
    });
  };
}

function typeset(formula: string, displayMode: boolean): ElementContent[] {
  const box = document.createElement("span");
  try {
    katex.render(formula, box, { ...options, displayMode });
    const made = fromDom(box);
    if (made.type === "element") return made.children;
  } catch {
    // Shown as it was written. Not every error is KaTeX's own: a formula may also be too deep for its parser.
  }
  return [{ type: "element", tagName: "span", properties: { className: ["katex-error"] }, children: [{ type: "text", value: formula }] }];
}
