// Tables, code and formulas that are wider than the page scroll sideways. Where they do, the keyboard must reach them;
// where they do not, they are no stop on its way.

import { type RefObject, useEffect } from "react";

export function useScrollables(root: RefObject<HTMLElement | null>): void {
  useEffect(() => {
    const { current } = root;
    if (!current || typeof ResizeObserver === "undefined") return;
    const observer = new ResizeObserver(() => {
      for (const box of current.querySelectorAll(".table, .katex-display, pre, p:has(> .katex)")) {
        if (box.scrollWidth > box.clientWidth + 1) box.setAttribute("tabindex", "0");
        else box.removeAttribute("tabindex");
      }
    });
    observer.observe(current);
    return () => observer.disconnect();
  }, [root]);
}
