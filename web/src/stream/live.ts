// Follows answers that stream. Events are gathered and shown once per animation frame, so that 200 tokens a second cost
// no more than 60 renders, and more rarely where showing them takes long; a connection that breaks is taken up again
// where the answer is by then. Only the conversation that is shown is followed: a browser has six connections to a
// server, for all its tabs together.

import { open } from "../api/client";
import type { Message } from "../api/types";
import { type Live, reduce, type StreamEvent } from "./reduce";
import { events } from "./sse";

type Listener = () => void;

/** Called when an answer has ended; `null` where the server did not say how, so that it has to be asked. */
export type OnEnd = (conversation: string, message: Message | null) => void;

export class LiveAnswers {
  private live = new Map<string, Live>();
  private following = new Map<string, AbortController>();
  private waiting = new Map<string, StreamEvent[]>();
  private listeners = new Set<Listener>();
  private planned = false;
  private rest = 0;
  onEnd: OnEnd = () => {};

  subscribe = (listener: Listener): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  get = (conversation: string): Live | undefined => this.live.get(conversation);

  follow(conversation: string): void {
    if (this.following.has(conversation)) return;
    const abort = new AbortController();
    this.following.set(conversation, abort);
    void this.run(conversation, abort.signal);
  }

  leave(conversation: string): void {
    this.following.get(conversation)?.abort();
    this.following.delete(conversation);
    this.waiting.delete(conversation);
    this.live.delete(conversation);
  }

  private async run(conversation: string, signal: AbortSignal): Promise<void> {
    for (let tries = 0; !signal.aborted; tries++) {
      try {
        const response = await open("GET", `api/conversations/${conversation}/stream`, undefined, signal);
        for await (const { name, data } of events(response)) {
          if (signal.aborted) return;
          const event = { name, ...JSON.parse(data) } as StreamEvent;
          if (event.name === "end" || event.name === "idle") {
            this.flush();
            this.leave(conversation);
            this.onEnd(conversation, event.name === "end" ? event.message : null);
            this.listeners.forEach((listener) => listener());
            return;
          }
          tries = 0;
          this.enqueue(conversation, event);
        }
      } catch (error) {
        if (signal.aborted) return;
        const status = (error as { status?: number }).status ?? 0;
        if (status >= 400 && status < 500) {
          this.leave(conversation);
          this.onEnd(conversation, null);
          return;
        }
      }
      await new Promise((resolve) => setTimeout(resolve, Math.min(500 * 2 ** tries, 5000)));
    }
  }

  private enqueue(conversation: string, event: StreamEvent): void {
    const queue = this.waiting.get(conversation);
    if (queue) queue.push(event);
    else this.waiting.set(conversation, [event]);
    if (this.planned) return;
    this.planned = true;
    // A hidden page gets no animation frames.
    if (document.hidden) setTimeout(this.flush, 250);
    else if (this.rest > 0) setTimeout(() => requestAnimationFrame(this.flush), this.rest);
    else requestAnimationFrame(this.flush);
  }

  /** Leaves the browser twice the time that showing took, so that scrolling and typing go on under a heavy answer. */
  private measure(start: number): void {
    setTimeout(() => {
      const took = performance.now() - start;
      this.rest = took < 12 ? 0 : Math.min(2 * took, 1000);
    }, 0);
  }

  private flush = (): void => {
    const start = performance.now();
    this.planned = false;
    for (const [conversation, queue] of this.waiting) {
      let live: Live | null = this.live.get(conversation) ?? null;
      for (const event of queue) live = reduce(live, event);
      if (live) this.live.set(conversation, live);
    }
    this.waiting.clear();
    this.listeners.forEach((listener) => listener());
    this.measure(start);
  };
}

export const liveAnswers = new LiveAnswers();
