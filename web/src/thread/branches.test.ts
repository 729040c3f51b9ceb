import { describe, expect, it } from "vitest";
import type { Message } from "../api/types";
import { divider, shown } from "./branches";

const one = (id: string, parent: string | null, role: "user" | "assistant", left = 0) =>
  ({ id, parent, role, turns_left_out: left }) as Message;

const tree = [
  one("q1", null, "user"), one("a1", "q1", "assistant"), one("a1b", "q1", "assistant"),
  one("q2", "a1b", "user"), one("a2", "q2", "assistant"), one("q3", "a2", "user"), one("a3", "q3", "assistant", 2),
];

describe("the branch that is shown", () => {
  it("leads from the first message to the leaf, with what stands beside each", () => {
    expect(shown(tree, "a2").map((turn) => turn.message.id)).toEqual(["q1", "a1b", "q2", "a2"]);
    expect(shown(tree, "a2")[1]?.siblings).toEqual(["a1", "a1b"]);
    expect(shown(tree, null)).toEqual([]);
    expect(shown(tree, "gone")).toEqual([]);
  });
  it("ends where a damaged tree runs in a ring", () => {
    const ring = [one("x", "y", "user"), one("y", "x", "assistant")];
    expect(shown(ring, "x").length).toBeLessThanOrEqual(3);
  });
});

describe("the line above which turns are not sent", () => {
  it("stands before the first question that was sent", () => {
    expect(divider(shown(tree, "a3"))).toBe(4);
    expect(divider(shown(tree, "a2"))).toBe(-1);
  });
});
