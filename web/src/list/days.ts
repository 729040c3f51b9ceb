// Conversations by day, as people look for them.

import type { Conversation } from "../api/types";

export type Day = "today" | "yesterday" | "week" | "older";

export function byDay(list: Conversation[], now: number): { day: Day; list: Conversation[] }[] {
  const midnight = new Date(now);
  midnight.setHours(0, 0, 0, 0);
  const before = (days: number) => new Date(midnight.getFullYear(), midnight.getMonth(), midnight.getDate() - days).getTime();
  const day = (at: number): Day => (at >= before(0) ? "today" : at >= before(1) ? "yesterday" : at >= before(6) ? "week" : "older");
  return (["today", "yesterday", "week", "older"] as const).map((name) => ({
    day: name,
    list: list.filter((one) => day(one.updated_ms) === name),
  }));
}
