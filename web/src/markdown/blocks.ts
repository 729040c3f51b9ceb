// Splits Markdown into blocks that can be rendered one by one, so that a growing answer renders only its last block.
// Splitting too rarely costs time, splitting wrongly changes the text: where in doubt, it does not split.

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const LIST = /^ {0,3}([-*+]|\d{1,9}[.)])(\s|$)/;
/** Above this many characters a text is never one block. */
const LONGEST_WHOLE = 16_000;
const DEFINITION = /^ {0,3}\[[^\]]+\]:/m;

export function splitBlocks(text: string): string[] {
  // Definitions of links and footnotes reach into other blocks. A long text is split all the same, and loses those links.
  if (text.length < LONGEST_WHOLE && DEFINITION.test(text)) return [text];
  const blocks: string[] = [];
  let block: string[] = [];
  let fence: string | null = null;
  let math = false;
  let list = false;
  let blank = false;
  const cut = () => {
    if (block.length > 0) blocks.push(block.join("\n"));
    block = [];
    list = false;
  };
  for (const line of text.split("\n")) {
    const empty = line.trim() === "";
    if (!fence && !math && blank && !empty) {
      const goesOn = list && (LIST.test(line) || /^\s/.test(line));
      if (!goesOn && !/^( {4}|\t)/.test(line)) cut();
    }
    if (block.length > 0 || !empty) block.push(line);
    if (!fence && !math && block.length === 1) list = LIST.test(line);
    const marker = FENCE.exec(line)?.[1];
    if (fence) {
      if (marker && marker[0] === fence[0] && marker.length >= fence.length && line.trim() === marker) fence = null;
    } else if (marker) {
      fence = marker;
    } else if (/^\s*\$\$/.test(line) && !/^\s*\$\$.+\$\$\s*$/.test(line)) {
      math = !math;
    } else if (math && line.trimEnd().endsWith("$$")) {
      math = false;
    }
    blank = empty;
  }
  cut();
  return blocks;
}

/** A formula on a line of its own is set apart. Models write \( \) and \[ \] as often as dollars; outside code they become what the parser knows. */
export function dollarMath(text: string): string {
  if (!/\\[([]|\$\$/.test(text)) return text;
  return text
    .split(/(```[\s\S]*?(?:```|$)|~~~[\s\S]*?(?:~~~|$)|`[^`\n]*`)/)
    .map((part, n) =>
      n % 2 === 1
        ? part
        : part
            .replace(/^[ \t]*\$\$(.+?)\$\$[ \t]*$/gm, (_, formula: string) => `\n$$\n${formula.trim()}\n$$\n`)
            .replace(/\\\[([\s\S]{1,4000}?)\\\]/g, (_, formula: string) => `\n$$\n${formula.trim()}\n$$\n`)
            .replace(/\\\(([^\n]{1,1000}?)\\\)/g, (_, formula: string) => `$${formula.trim()}$`),
    )
    .join("");
}
