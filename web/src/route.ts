// Which conversation the address names. Addresses are `c/ID` below the page's base.

import { useSyncExternalStore } from "react";

const listeners = new Set<() => void>();

function current(): string | null {
  const base = new URL(document.baseURI).pathname;
  const path = location.pathname.startsWith(base) ? location.pathname.slice(base.length) : "";
  return /^c\/([\w-]+)$/.exec(path)?.[1] ?? null;
}

const notify = () => listeners.forEach((listener) => listener());
addEventListener("popstate", notify);

/** Shows a conversation, or the empty page. */
export function show(id: string | null, replace = false): void {
  const to = new URL(id ? `c/${id}` : ".", document.baseURI).toString();
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  notify();
}

export function useShown(): string | null {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, current);
}
