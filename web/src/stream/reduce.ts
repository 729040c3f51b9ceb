// What an answer that streams looks like, after each event. Pure, so that it can be tested without a server.

import type { Message } from "../api/types";

export interface Live {
  message: Message;
  rate: number | null;
}

export type StreamEvent =
  | { name: "snapshot"; message: Message; rate: number | null }
  | { name: "delta"; id: string; text: string; rate: number | null }
  | { name: "end"; message: Message | null }
  | { name: "idle" };

export function reduce(live: Live | null, event: StreamEvent): Live | null {
  switch (event.name) {
    case "snapshot":
      return { message: event.message, rate: event.rate };
    case "delta":
      // A delta of another answer, or before any snapshot, has nothing to be appended to.
      if (!live || live.message.id !== event.id) return live;
      return {
        message: { ...live.message, content: live.message.content + event.text },
        rate: event.rate ?? live.rate,
      };
    case "end":
    case "idle":
      return null;
  }
}
