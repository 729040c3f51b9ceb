// Files on their way to the server: sent a few at a time with progress, then watched until they can be asked.

import { address, Failure, headers, request } from "../api/client";
import { join, refreshShelf, refreshSources } from "../api/sources";

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
/** Asked about at a time: the server reads them one after the other, in the order in which they came. */
const LOOKED_AT = 3;
/** How long a finished one is shown. */
const SHOWN = 2500;

type Sending = (file: File, progress: (sent: number) => void, abort: (stop: () => void) => void) => Promise<FileObject>;

export class Uploads {
  private list: Upload[] = [];
  private queue: { upload: Upload; file: File; collection: string | null }[] = [];
  private stops = new Map<number, () => void>();
  /** Files that the server reads, by their uploads. */
  private reading = new Map<number, string>();
  private looking = false;
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
    this.reading.delete(id);
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
      if (collection) await join(collection, sent.id);
      if (this.list.some((upload) => upload.id === id)) this.reading.set(id, sent.id);
      this.change(id, { state: "reading", sent: file.size });
      refreshShelf();
      void this.watch();
    } catch (error) {
      this.stops.delete(id);
      this.change(id, { state: "failed", error: error instanceof Error ? error.message : String(error) });
    }
  }

  private async watch(): Promise<void> {
    if (this.looking) return;
    this.looking = true;
    while (this.reading.size > 0) {
      await new Promise((resolve) => setTimeout(resolve, ASK_EVERY));
      let news = false;
      for (const [id, file] of [...this.reading].slice(0, LOOKED_AT)) news = (await this.look(id, file)) || news;
      if (news) refreshSources();
    }
    this.looking = false;
  }

  /** Whether a file is not being read any more. */
  private async look(id: number, file: string): Promise<boolean> {
    try {
      const { status, status_details } = await request<FileObject>("GET", `v1/files/${encodeURIComponent(file)}`);
      if (status === "uploaded") return false;
      this.reading.delete(id);
      if (status === "error") this.change(id, { state: "failed", error: status_details ?? "" });
      else {
        this.change(id, { state: "ready" });
        setTimeout(() => this.dismiss(id), SHOWN);
      }
    } catch (error) {
      // While the server is away it is asked again; what was removed meanwhile is not.
      if (!(error instanceof Failure) || error.status === 0) return false;
      this.dismiss(id);
    }
    return true;
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
