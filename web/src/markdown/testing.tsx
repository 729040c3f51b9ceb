// Renders Markdown into a detached element, for tests.

import { act } from "react";
import { createRoot } from "react-dom/client";
import "../i18n";
import { Markdown } from "./Markdown";
import { loadMath } from "./useMath";

await loadMath();

export function render(text: string): HTMLElement {
  (globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;
  const page = document.createElement("div");
  act(() => createRoot(page).render(<Markdown text={text} />));
  return page;
}
