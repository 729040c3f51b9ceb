// Files on their way to the server: sent a few at a time with progress, then watched until they can be asked.

import { address, Failure, headers, request } from "../api/client";
import { join, refreshSources } from "../api/sources";

export interface Upload {
  id: number;
  name: string;
  size: number;
  /** Bytes that have left. */
  sent: number;
  state: "waiting" | "sending" | "reading" | "ready" | "failed";
  /** The server's sentence, where it failed. */
  error?: string;
}

interface FileObject {
  id: string;
  status: "uploaded" | "processed" | "error";
  status_details: string | null;
}

/** Sent at the same time: a browser has six connections to a server, and answers need some of them. */
const AT_ONCE = 2;
const ASK_EVERY = 700;
/** How long a finished one is shown. */
const SHOWN = 2500;

type Sending = (file: File, progress: (sent: number) => void, abort: (stop: () => void) => void) => Promise<FileObject>;

export class Uploads {
  private list: Upload[] = [];
  private queue: { upload: Upload; file: File; collection: string | null }[] = [];
  private stops = new Map<number, () => void>();
  private running = 0;
  private next = 1;
  private listeners = new Set<() => void>();

  constructor(private readonly send: Sending) {}

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  get = (): Upload[] => this.list;

  /** Takes files in; each joins the collection, where there is one. */
  add(files: File[], collection: string | null): void {
    const news = files.map((file) => ({ upload: { id: this.next++, name: file.name, size: file.size, sent: 0, state: "waiting" } as Upload, file, collection }));
    this.queue.push(...news);
    this.set([...this.list, ...news.map(({ upload }) => upload)]);
    this.pump();
  }

  /** Takes one off the list; one that is on its way is stopped. What the server has stays there. */
  dismiss(id: number): void {
    this.stops.get(id)?.();
    this.queue = this.queue.filter(({ upload }) => upload.id !== id);
    this.set(this.list.filter((upload) => upload.id !== id));
  }

  private pump(): void {
    while (this.running < AT_ONCE) {
      const one = this.queue.shift();
      if (!one) return;
      this.running++;
      void this.run(one).finally(() => {
        this.running--;
        this.pump();
      });
    }
  }

  private async run({ upload: { id }, file, collection }: { upload: Upload; file: File; collection: string | null }): Promise<void> {
    try {
      this.change(id, { state: "sending" });
      const sent = await this.send(file, (bytes) => this.change(id, { sent: bytes }), (stop) => this.stops.set(id, stop));
      this.stops.delete(id);
      this.change(id, { state: "reading", sent: file.size });
      if (collection) await join(collection, sent.id);
      refreshSources();
      void this.watch(id, sent);
    } catch (error) {
      this.stops.delete(id);
      this.change(id, { state: "failed", error: error instanceof Error ? error.message : String(error) });
    }
  }

  private async watch(id: number, file: FileObject): Promise<void> {
    try {
      while (file.status === "uploaded" && this.list.some((upload) => upload.id === id)) {
        await new Promise((resolve) => setTimeout(resolve, ASK_EVERY));
        file = await request<FileObject>("GET", `v1/files/${encodeURIComponent(file.id)}`);
      }
      if (file.status === "error") this.change(id, { state: "failed", error: file.status_details ?? "" });
      else {
        this.change(id, { state: "ready" });
        setTimeout(() => this.dismiss(id), SHOWN);
      }
    } catch (error) {
      // Removed meanwhile, or the server is away: it has the file, and the list of sources says how far it is.
      if (error instanceof Failure) this.dismiss(id);
    }
    refreshSources();
  }

  private change(id: number, news: Partial<Upload>): void {
    this.set(this.list.map((upload) => (upload.id === id ? { ...upload, ...news } : upload)));
  }

  private set(list: Upload[]): void {
    this.list = list;
    this.listeners.forEach((listener) => listener());
  }
}

/** With an XMLHttpRequest: a fetch does not say how much of a body has left. */
const send: Sending = (file, progress, abort) =>
  new Promise((done, fail) => {
    const form = new FormData();
    form.append("purpose", "assistants");
    form.append("file", file, file.name);
    const xhr = new XMLHttpRequest();
    xhr.open("POST", address("v1/files"));
    for (const [name, value] of Object.entries(headers(false))) xhr.setRequestHeader(name, value);
    xhr.upload.onprogress = ({ loaded }) => progress(Math.min(loaded, file.size));
    xhr.onload = () => {
      let said: { error?: { message?: string } } | FileObject | null = null;
      try {
        said = JSON.parse(xhr.responseText);
      } catch {
        // A proxy's own page has no sentence of ours.
      }
      if (xhr.status >= 200 && xhr.status < 300 && said) done(said as FileObject);
      else fail(new Failure(xhr.status, (said as { error?: { message?: string } } | null)?.error?.message ?? xhr.statusText));
    };
    xhr.onerror = () => fail(new Failure(0, "the connection broke off; add the file again"));
    xhr.onabort = () => fail(new Failure(0, "stopped"));
    abort(() => xhr.abort());
    xhr.send(form);
  });

export const uploads = new Uploads(send);
