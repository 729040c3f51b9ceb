// The boxes of a passage on a page's picture, as shares of its width and height: they hold at every size of it.

import type { Run, Stretch } from "./locate";

export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** The page's picture at some size, as pdf.js has it. */
export interface Sheet {
  width: number;
  height: number;
  convertToViewportPoint(x: number, y: number): number[];
}

/** Shares of a line's height above and below the line that letters stand on. */
const ABOVE = 0.86;
const BELOW = 0.24;

/** `measure` gives the width of a text in the font of a run, in any unit. */
export function boxes(runs: readonly Run[], stretches: readonly Stretch[], sheet: Sheet, measure: (text: string, run: Run) => number): Box[] {
  const all: Box[] = [];
  for (const { run: number, from, to } of stretches) {
    const run = runs[number];
    const box = run && boxOf(run, from, to, sheet, measure);
    if (!box) continue;
    const last = all.at(-1);
    if (last && sameLine(last, box, sheet)) all[all.length - 1] = around(last, box);
    else all.push(box);
  }
  return all;
}

function boxOf(run: Run, from: number, to: number, sheet: Sheet, measure: (text: string, run: Run) => number): Box | null {
  const [a = 1, b = 0, c = 0, d = 1, x = 0, y = 0] = run.transform;
  const [along, up] = [Math.hypot(a, b), Math.hypot(c, d)];
  if (!(along > 0 && up > 0 && run.width > 0)) return null;
  const whole = measure(run.str, run);
  const share = (at: number) => (whole > 0 ? measure(run.str.slice(0, at), run) / whole : at / run.str.length);
  // What is read from the right begins at the right.
  const [begin, end] = run.dir === "rtl" ? [1 - share(to), 1 - share(from)] : [share(from), share(to)];
  const corners = [begin, end].flatMap((part) =>
    [ABOVE, -BELOW].map((height) => {
      const [right, rise] = [part * run.width, height * up];
      return sheet.convertToViewportPoint(x + (a / along) * right + (c / up) * rise, y + (b / along) * right + (d / up) * rise);
    }),
  );
  const [xs, ys] = [corners.map(([x = 0]) => x), corners.map(([, y = 0]) => y)];
  const [left, top] = [within(Math.min(...xs) / sheet.width), within(Math.min(...ys) / sheet.height)];
  const box = { left, top, width: within(Math.max(...xs) / sheet.width) - left, height: within(Math.max(...ys) / sheet.height) - top };
  return box.width > 0 && box.height > 0 ? box : null;
}

const within = (share: number): number => Math.min(1, Math.max(0, share));

/** Whether the second goes on where the first ends: a space between words has no letter of its own. */
function sameLine(first: Box, second: Box, sheet: Sheet): boolean {
  const height = Math.max(first.height, second.height);
  const gap = Math.max(second.left - (first.left + first.width), first.left - (second.left + second.width)) * sheet.width;
  return Math.abs(first.top - second.top) < height * 0.4 && gap < 1.5 * height * sheet.height;
}

function around(first: Box, second: Box): Box {
  const [left, top] = [Math.min(first.left, second.left), Math.min(first.top, second.top)];
  return {
    left,
    top,
    width: Math.max(first.left + first.width, second.left + second.width) - left,
    height: Math.max(first.top + first.height, second.top + second.height) - top,
  };
}
