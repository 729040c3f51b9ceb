// What may come out of Markdown. Model output is hostile: this runs last, after formulas were typeset. HTML in the text
// is never parsed at all; what the list below adds to the usual one is what KaTeX makes.

import { defaultSchema } from "rehype-sanitize";

const MATH = [
  "math", "semantics", "annotation", "mrow", "mi", "mo", "mn", "ms", "mtext", "mspace", "msup", "msub", "msubsup",
  "mfrac", "msqrt", "mroot", "mover", "munder", "munderover", "mtable", "mtr", "mtd", "mstyle", "mpadded", "mphantom",
  "menclose", "mglyph",
];

const MATH_ATTRIBUTES = [
  "mathvariant", "mathcolor", "mathbackground", "mathsize", "display", "displaystyle", "scriptlevel", "stretchy",
  "fence", "separator", "accent", "accentunder", "width", "height", "depth", "lspace", "rspace", "minsize", "maxsize",
  "linethickness", "columnalign", "rowspacing", "columnspacing", "columnlines", "rowlines", "notation", "encoding",
  "movablelimits", "symmetric", "xmlns",
];

/**
 * Lengths, colours and the like: no address, no function but rgb, and no length of more than 99 em, which would make the
 * page endless.
 */
export const STYLE =
  /^(?:\s*(?:height|width|min-width|max-width|top|bottom|left|right|vertical-align|margin|margin-(?:left|right|top|bottom)|padding|padding-(?:left|right|top|bottom)|color|background-color|border|border-(?:color|style|width|top-width|right-width|bottom-width|left-width)|font-size|position|text-shadow)\s*:\s*(?!fixed|absolute|sticky|[^;]*(?<![.\d])\d{3,}(?:\.\d*)?em)(?:[#\w\s.%-]|rgba?\([\d\s.,%]+\))*;?)*\s*$/;

export const schema: typeof defaultSchema = {
  ...defaultSchema,
  clobberPrefix: "answer-",
  tagNames: [...(defaultSchema.tagNames ?? []).filter((tag) => tag !== "picture" && tag !== "source"), ...MATH, "svg", "path", "line"],
  attributes: {
    ...defaultSchema.attributes,
    span: [["style", STYLE], "className", ["ariaHidden", "true"]],
    div: ["className"],
    code: [["className", /^language-./]],
    svg: ["width", "height", "viewBox", "preserveAspectRatio", "xmlns", ["style", STYLE]],
    path: ["d"],
    line: ["x1", "y1", "x2", "y2", "strokeWidth"],
    ...Object.fromEntries(MATH.map((tag) => [tag, [...MATH_ATTRIBUTES, "className"]])),
  },
  protocols: { ...defaultSchema.protocols, href: ["http", "https", "mailto"], src: ["http", "https"] },
};
