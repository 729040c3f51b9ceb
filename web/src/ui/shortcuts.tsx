// Keys that work everywhere on the page, and the list that tells them.

import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { Dialog } from "./Dialog";

export type Action = "new" | "search" | "focus" | "sidebar" | "settings" | "stop" | "help";

const mac = /Mac|iPhone|iPad/.test(navigator.userAgent);
const mod = mac ? "⌘" : "Ctrl";

const keys: { action: Action | "send" | "line"; keys: string[] }[] = [
  { action: "new", keys: [mod, "Shift", "O"] },
  { action: "search", keys: [mod, "K"] },
  { action: "focus", keys: ["/"] },
  { action: "sidebar", keys: [mod, "B"] },
  { action: "settings", keys: [mod, ","] },
  { action: "stop", keys: ["Esc"] },
  { action: "send", keys: ["Enter"] },
  { action: "line", keys: ["Shift", "Enter"] },
  { action: "help", keys: ["?"] },
];

function actionOf(event: KeyboardEvent): Action | null {
  const control = mac ? event.metaKey : event.ctrlKey;
  const key = event.key.toLowerCase();
  if (control && event.shiftKey && key === "o") return "new";
  if (control && !event.shiftKey && !event.altKey) {
    if (key === "k") return "search";
    if (key === "b") return "sidebar";
    if (key === ",") return "settings";
  }
  if (key === "escape") return "stop";
  const target = event.target as HTMLElement | null;
  const typing = target?.closest("input, textarea, select, [contenteditable], [role=menu]");
  if (typing || control || event.altKey) return null;
  if (key === "/") return "focus";
  if (key === "?") return "help";
  return null;
}

export function useShortcuts(actions: Record<Action, () => void>): void {
  const latest = useRef(actions);
  latest.current = actions;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      // A dialog has its own keys; a method that composes characters uses Escape itself.
      if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
      const action = actionOf(event);
      if (!action) return;
      if (action !== "stop") event.preventDefault();
      latest.current[action]();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}

export function ShortcutsDialog({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Dialog title={t("shortcuts")} onClose={onClose}>
      <dl className="shortcuts">
        {keys.map(({ action, keys }) => (
          <div key={action}>
            <dt>{t(`keys.${action}`)}</dt>
            <dd>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
