// Short messages at the page's edge. An error's sentence comes from the server and says what to do.

import { useSyncExternalStore } from "react";
import { createPortal } from "react-dom";
import { useTranslation } from "react-i18next";
import { Failure } from "../api/client";
import { CloseIcon } from "./icons";

interface Toast {
  id: number;
  text: string;
  error: boolean;
}

let toasts: Toast[] = [];
let next = 1;
let host: HTMLElement | null = null;
const listeners = new Set<() => void>();

function set(list: Toast[]) {
  toasts = list;
  listeners.forEach((listener) => listener());
}

/** A dialog makes everything else inert, so while one is open the notices are shown inside it. */
export function hostToasts(dialog: HTMLElement | null): void {
  host = dialog;
  set([...toasts]);
}

const dismiss = (id: number) => set(toasts.filter((toast) => toast.id !== id));

export function toast(text: string, error = false): void {
  const id = next++;
  set([...toasts.filter((other) => other.text !== text).slice(-2), { id, text, error }]);
  // An error says what to do, which may take long to read: it stays until it is closed.
  if (!error) setTimeout(() => dismiss(id), 4000);
}

/** Shows what went wrong. A server that cannot be reached has its banner instead. */
export function toastError(error: unknown): void {
  if (error instanceof Failure && (error.status === 0 || error.status === 401)) return;
  toast(error instanceof Error ? error.message : String(error), true);
}

export function Toasts() {
  const list = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
  const { t } = useTranslation();
  const shown = (
    <div className="toasts" role="region" aria-label={t("messages")}>
      {list.map((one) => (
        <div key={one.id} role={one.error ? "alert" : "status"} className={one.error ? "toast error" : "toast"}>
          <p>{one.text}</p>
          <button type="button" className="icon" aria-label={t("close")} onClick={() => dismiss(one.id)}>
            <CloseIcon />
          </button>
        </div>
      ))}
    </div>
  );
  return host ? createPortal(shown, host) : shown;
}
