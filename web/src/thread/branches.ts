// The tree of a conversation's messages: which are shown, and what stands beside each.

import type { Message } from "../api/types";

export interface Turn {
  message: Message;
  /** This message and those asked or answered beside it, oldest first. */
  siblings: string[];
}

/** The messages from the first one to `leaf`. */
export function shown(messages: Message[], leaf: string | null): Turn[] {
  const byId = new Map(messages.map((message) => [message.id, message]));
  const children = new Map<string | null, string[]>();
  for (const message of messages) {
    const siblings = children.get(message.parent);
    if (siblings) siblings.push(message.id);
    else children.set(message.parent, [message.id]);
  }
  const turns: Turn[] = [];
  let at = leaf ? byId.get(leaf) : undefined;
  while (at && turns.length <= messages.length) {
    turns.push({ message: at, siblings: children.get(at.parent) ?? [at.id] });
    at = at.parent ? byId.get(at.parent) : undefined;
  }
  return turns.reverse();
}

/**
 * Before which of the shown messages the line "earlier turns are not sent" stands: the last answer says how many turns
 * were left out of its prompt. -1 where all were sent.
 */
export function divider(turns: Turn[]): number {
  const last = turns.findLast((turn) => turn.message.role === "assistant");
  let left = last?.message.turns_left_out ?? 0;
  if (left === 0) return -1;
  return turns.findIndex((turn) => turn.message.role === "user" && left-- === 0);
}
