import { describe, expect, it } from "vitest";
import type { Message } from "../api/types";
import { reduce, type Live } from "./reduce";
import { EventParser } from "./sse";

const message = { id: "a", content: "He", state: "streaming" } as Message;

describe("the event parser", () => {
  it("gives the same events however the text is cut", () => {
    const text = 'event: snapshot\ndata: {"x":1}\n\n: keep-alive\n\nevent: delta\ndata: {"text":"你好"}\n\n';
    for (let cut = 0; cut <= text.length; cut++) {
      const parser = new EventParser();
      const events = [...parser.push(text.slice(0, cut)), ...parser.push(text.slice(cut))];
      expect(events).toEqual([
        { name: "snapshot", data: '{"x":1}' },
        { name: "delta", data: '{"text":"你好"}' },
      ]);
    }
  });
});

describe("an answer that streams", () => {
  it("starts from the snapshot and grows by deltas", () => {
    let live: Live | null = reduce(null, { name: "snapshot", message, rate: null });
    live = reduce(live, { name: "delta", id: "a", text: "llo", rate: 9 });
    live = reduce(live, { name: "delta", id: "a", text: "!", rate: null });
    expect(live).toMatchObject({ message: { content: "Hello!" }, rate: 9 });
    expect(reduce(live, { name: "end", message })).toBeNull();
  });
  it("ignores a delta of another answer", () => {
    const live: Live = { message, rate: null };
    expect(reduce(live, { name: "delta", id: "b", text: "x", rate: 1 })).toBe(live);
    expect(reduce(null, { name: "delta", id: "a", text: "x", rate: 1 })).toBeNull();
  });
});
