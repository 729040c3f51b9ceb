// Which passage is open beside the conversation, and what had the focus before.

import type { Citation, Mark } from "../api/types";

export interface Opened {
  citation: Citation;
  /** What it bears out: a sentence with its mark, or `near`, a passage that was nearest to a question without an answer. */
  mark: Mark | "stale" | "near";
  confidence: number | null;
  receipt: string | null;
}

class Evidence {
  private opened: Opened | null = null;
  private before: HTMLElement | null = null;
  private listeners = new Set<() => void>();

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  get = (): Opened | null => this.opened;

  open(opened: Opened): void {
    const { activeElement } = document;
    this.before = activeElement instanceof HTMLElement && !activeElement.closest(".evidence") ? activeElement : this.before;
    this.set(opened);
  }

  /** `returns`: the focus goes back to where the passage was opened from. */
  close(returns = true): void {
    if (!this.opened) return;
    this.set(null);
    const { before } = this;
    this.before = null;
    // On a narrow page the conversation is inert until this has been drawn.
    if (returns) requestAnimationFrame(() => before?.isConnected && before.focus());
  }

  private set(opened: Opened | null): void {
    this.opened = opened;
    this.listeners.forEach((listener) => listener());
  }
}

export const evidence = new Evidence();
