// Theme and language belong to this browser; everything else is kept by the server.

import { useSyncExternalStore } from "react";
import i18n, { languages } from "../i18n";
import { recall, remember } from "./memory";

export type Theme = "system" | "light" | "dark";

const listeners = new Set<() => void>();
const notify = () => listeners.forEach((listener) => listener());

export function theme(): Theme {
  const stored = recall("candor-theme");
  return stored === "light" || stored === "dark" ? stored : "system";
}

export function applyTheme(): void {
  const chosen = theme();
  if (chosen === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}

export function setTheme(chosen: Theme): void {
  remember("candor-theme", chosen);
  applyTheme();
  notify();
}

export function useTheme(): Theme {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, theme);
}

export function setLanguage(language: string): void {
  if (!(language in languages)) return;
  remember("candor-language", language);
  void i18n.changeLanguage(language);
}
