import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Failure } from "../api/client";

const { request, join } = vi.hoisted(() => ({ request: vi.fn(), join: vi.fn() }));
vi.mock("../api/client", async (original) => ({ ...(await original<typeof import("../api/client")>()), request }));
vi.mock("../api/sources", () => ({ join, refreshSources: () => {} }));

import { Uploads } from "./uploads";

const file = (name: string) => new File(["words"], name);
const uploaded = (id: string) => ({ id, status: "uploaded" as const, status_details: null });

beforeEach(() => {
  vi.useFakeTimers();
  request.mockReset();
  join.mockReset();
});
afterEach(() => void vi.useRealTimers());

describe("files on their way", () => {
  it("are sent two at a time, with progress", async () => {
    const sending: { name: string; progress: (sent: number) => void; done: () => void }[] = [];
    const uploads = new Uploads((file, progress) => new Promise((done) => sending.push({ name: file.name, progress, done: () => done(uploaded(file.name)) })));
    request.mockResolvedValue({ ...uploaded("a"), status: "processed" });
    uploads.add([file("a"), file("b"), file("c")], null);
    await vi.advanceTimersByTimeAsync(0);
    expect(sending.map(({ name }) => name)).toEqual(["a", "b"]);
    sending[0]?.progress(3);
    expect(uploads.get().map(({ state, sent }) => [state, sent])).toEqual([["sending", 3], ["sending", 0], ["waiting", 0]]);
    sending[0]?.done();
    await vi.advanceTimersByTimeAsync(0);
    expect(sending.map(({ name }) => name)).toEqual(["a", "b", "c"]);
    expect(uploads.get()[0]?.state).toBe("reading");
    await vi.advanceTimersByTimeAsync(800);
    expect(uploads.get()[0]?.state).toBe("ready");
    await vi.advanceTimersByTimeAsync(3000);
    expect(uploads.get().map(({ name }) => name)).toEqual(["b", "c"]);
  });

  it("join the collection they were added to", async () => {
    const uploads = new Uploads(async () => uploaded("file-1"));
    request.mockResolvedValue({ ...uploaded("file-1"), status: "processed" });
    uploads.add([file("a")], "vs_1");
    await vi.advanceTimersByTimeAsync(0);
    expect(join).toHaveBeenCalledWith("vs_1", "file-1");
  });

  it("that cannot be sent or read say why, and stay until they are dismissed", async () => {
    const uploads = new Uploads(async ({ name }) => {
      if (name === "large") throw new Failure(413, "the file is larger than 5 bytes");
      return uploaded(name);
    });
    request.mockResolvedValue({ ...uploaded("x"), status: "error", status_details: "it is encrypted" });
    uploads.add([file("large"), file("secret")], null);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(uploads.get().map(({ error }) => error)).toEqual(["the file is larger than 5 bytes", "it is encrypted"]);
    uploads.dismiss(uploads.get()[0]?.id ?? 0);
    expect(uploads.get()).toHaveLength(1);
  });

  it("are stopped when they are dismissed", async () => {
    const stop = vi.fn();
    const uploads = new Uploads((_file, _progress, abort) => new Promise(() => abort(stop)));
    uploads.add([file("a")], null);
    await vi.advanceTimersByTimeAsync(0);
    uploads.dismiss(uploads.get()[0]?.id ?? 0);
    expect(stop).toHaveBeenCalled();
    expect(uploads.get()).toEqual([]);
  });
});
