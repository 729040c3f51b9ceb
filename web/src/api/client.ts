// Requests to the server. Addresses are relative to the page's own base, so that any path behind a proxy works.

import { connection } from "../stream/connection";
import { recall, remember, thisTab } from "../ui/memory";

/** The server's own sentence, with its status. Status 0: the server could not be reached. */
export class Failure extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export function address(path: string): string {
  return new URL(path, document.baseURI).toString();
}

const KEY = "candor-key";
let given: string | null = null;
let askForKey: () => void = () => {};

/** What to do when the server wants a key that the page does not have. */
export function whenKeyIsNeeded(ask: () => void): void {
  askForKey = ask;
}

export function rememberKey(key: string): void {
  remember(KEY, key, thisTab);
  given = key;
}

export function headers(json: boolean): Record<string, string> {
  const key = recall(KEY, thisTab) ?? given;
  return {
    ...(json ? { "Content-Type": "application/json" } : {}),
    ...(key ? { Authorization: `Bearer ${key}` } : {}),
  };
}

/** A response that is not an error; else a `Failure`. */
export async function open(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(address(path), {
      method,
      headers: headers(body !== undefined),
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      cache: "no-store",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    connection.lost();
    throw new Failure(0, "");
  }
  connection.found();
  if (response.ok) return response;
  if (response.status === 401) askForKey();
  let message = response.statusText;
  try {
    message = (await response.json()).error.message;
  } catch {
    // A proxy's own error page has no sentence of ours.
  }
  throw new Failure(response.status, message);
}

export async function request<T>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await open(method, path, body);
  return (response.status === 204 ? undefined : await response.json()) as T;
}
