// Formulas: KaTeX is a third of the page's code, so it is fetched when the first formula shows up.

import "katex/dist/katex.min.css";
import rehypeKatex from "rehype-katex";
import remarkMath from "remark-math";

export { rehypeKatex, remarkMath };
