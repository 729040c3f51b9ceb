// Colours for code. Shiki with its JavaScript engine: no WebAssembly, and a grammar is loaded when its language first
// shows up. Colours are variables of the page's theme, so dark and light need no second pass.

import { createBundledHighlighter, createCssVariablesTheme } from "shiki/core";
import { createJavaScriptRegexEngine } from "shiki/engine/javascript";

const languages = {
  bash: () => import("shiki/langs/bash.mjs"),
  c: () => import("shiki/langs/c.mjs"),
  cpp: () => import("shiki/langs/cpp.mjs"),
  csharp: () => import("shiki/langs/csharp.mjs"),
  css: () => import("shiki/langs/css.mjs"),
  diff: () => import("shiki/langs/diff.mjs"),
  go: () => import("shiki/langs/go.mjs"),
  html: () => import("shiki/langs/html.mjs"),
  java: () => import("shiki/langs/java.mjs"),
  javascript: () => import("shiki/langs/javascript.mjs"),
  json: () => import("shiki/langs/json.mjs"),
  kotlin: () => import("shiki/langs/kotlin.mjs"),
  latex: () => import("shiki/langs/latex.mjs"),
  lua: () => import("shiki/langs/lua.mjs"),
  markdown: () => import("shiki/langs/markdown.mjs"),
  php: () => import("shiki/langs/php.mjs"),
  python: () => import("shiki/langs/python.mjs"),
  r: () => import("shiki/langs/r.mjs"),
  ruby: () => import("shiki/langs/ruby.mjs"),
  rust: () => import("shiki/langs/rust.mjs"),
  sql: () => import("shiki/langs/sql.mjs"),
  swift: () => import("shiki/langs/swift.mjs"),
  toml: () => import("shiki/langs/toml.mjs"),
  tsx: () => import("shiki/langs/tsx.mjs"),
  typescript: () => import("shiki/langs/typescript.mjs"),
  xml: () => import("shiki/langs/xml.mjs"),
  yaml: () => import("shiki/langs/yaml.mjs"),
  zig: () => import("shiki/langs/zig.mjs"),
};

type Language = keyof typeof languages;

const aliases: Record<string, Language> = {
  sh: "bash", shell: "bash", zsh: "bash", console: "bash", "c++": "cpp", cs: "csharp", "c#": "csharp", golang: "go",
  js: "javascript", jsx: "tsx", kt: "kotlin", tex: "latex", md: "markdown", py: "python", python3: "python",
  rb: "ruby", rs: "rust", ts: "typescript", svg: "xml", yml: "yaml",
};

export interface Piece {
  text: string;
  color: string | undefined;
}

/** Longer code stays plain: colouring it would hold up the page. */
const MOST = 50_000;

const create = createBundledHighlighter({
  langs: languages,
  themes: {},
  engine: () => createJavaScriptRegexEngine({ forgiving: true }),
});

const theme = createCssVariablesTheme({ name: "candor", variablePrefix: "--code-" });
let highlighter: ReturnType<typeof create> | undefined;

/** Coloured lines, or null for a language that is not known. */
export async function highlight(code: string, name: string): Promise<Piece[][] | null> {
  const language = name in languages ? (name as Language) : aliases[name];
  if (!language || code.length > MOST) return null;
  highlighter ??= create({ langs: [], themes: [theme] });
  const ready = await highlighter;
  await ready.loadLanguage(language);
  const { tokens } = ready.codeToTokens(code, { lang: language, theme: "candor" });
  return tokens.map((line) => line.map((token) => ({ text: token.content, color: token.color })));
}
