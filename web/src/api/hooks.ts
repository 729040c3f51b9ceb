// The server's data as the page sees it.

import { QueryClient, queryOptions, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { liveAnswers } from "../stream/live";
import { toastError } from "../ui/toasts";
import { Failure, request } from "./client";
import { onTold, tellTabs } from "./tabs";
import type { Conversation, Defaults, Hit, Message, Model, Scope, Settings, Started, Whole } from "./types";

export const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      retry: (count, error) => error instanceof Failure && error.status === 0 && count < 2,
    },
  },
});

export const useModels = () =>
  useQuery({ queryKey: ["models"], queryFn: () => request<Model[]>("GET", "api/models"), staleTime: 30_000 });

export const settingsQuery = queryOptions({ queryKey: ["settings"], queryFn: () => request<Settings>("GET", "api/settings") });

export const useSettings = () => useQuery(settingsQuery);

const PAGE = 100;

/** The list, newest first, page by page. */
export const useConversations = () =>
  useInfiniteQuery({
    queryKey: ["conversations"],
    queryFn: ({ pageParam }) => request<Conversation[]>("GET", `api/conversations?limit=${PAGE}${pageParam ? `&before=${pageParam}` : ""}`),
    initialPageParam: 0,
    getNextPageParam: (page) => (page.length < PAGE ? undefined : before(page)),
    select: ({ pages }) => [...new Map(pages.flat().map((one) => [one.id, one])).values()],
  });

/** Where the next page begins. Those of the same millisecond may stand on both sides, so it overlaps by one where it can. */
function before(page: Conversation[]): number {
  const last = page.at(-1)?.updated_ms ?? 0;
  return page[0]?.updated_ms === last ? last : last + 1;
}

export const useSearch = (words: string) =>
  useQuery({
    queryKey: ["search", words],
    queryFn: () => request<Hit[]>("GET", `api/search?q=${encodeURIComponent(words)}`),
    enabled: words !== "",
    placeholderData: (before) => before,
  });

export const conversationQuery = (id: string) =>
  queryOptions({ queryKey: ["conversation", id], queryFn: () => request<Whole>("GET", `api/conversations/${id}`) });

export const useConversation = (id: string | null) =>
  useQuery({ ...conversationQuery(id ?? ""), enabled: id !== null });

/** Reads anew what changed here, and has the other tabs do so. */
export function refresh(id?: string): void {
  reread(id ?? null);
  tellTabs(id ?? null);
}

function reread(id: string | null): void {
  if (id) void client.invalidateQueries({ queryKey: ["conversation", id] });
  void client.invalidateQueries({ queryKey: ["conversations"] });
}

function change(id: string, update: (whole: Whole) => Whole): void {
  client.setQueryData<Whole>(["conversation", id], (whole) => whole && update(whole));
}

onTold(reread);

liveAnswers.onEnd = (id, message) => {
  if (message) change(id, (whole) => ({ ...whole, running: false, messages: put(whole.messages, [message]) }));
  refresh(id);
};

function put(messages: Message[], news: Message[]): Message[] {
  const byId = new Map(messages.map((message) => [message.id, message]));
  for (const message of news) byId.set(message.id, message);
  return [...byId.values()];
}

function started(id: string, { messages, conversation }: Started): void {
  client.setQueryData<Whole>(["conversation", id], (whole) => ({
    conversation,
    feedback: whole?.feedback ?? [],
    messages: put(whole?.messages ?? [], messages),
    running: true,
  }));
  liveAnswers.follow(id);
  reread(null);
  tellTabs(id);
}

/** The share of given answers that may be wrong; `null` answers always. */
export const usualDial = 0.1;

export function dialOf(settings: Settings | undefined): number | null {
  const dial = settings?.defaults?.dial;
  return dial === undefined || (dial !== null && !(dial > 0 && dial < 1)) ? usualDial : dial;
}

export const setDial = (dial: number | null): Promise<void> => setDefaults({ ...client.getQueryData<Settings>(["settings"])?.defaults, dial });

/** How a turn is answered, beyond what its conversation says. */
export interface How {
  dial?: number | null;
  memory?: boolean;
}

const usually = (): How => ({ dial: dialOf(client.getQueryData<Settings>(["settings"])) });

/** Asks in a conversation, or in a new one; returns its id. */
export async function ask(id: string | null, content: string, defaults: Defaults): Promise<string> {
  const conversation = id ?? (await request<Conversation>("POST", "api/conversations", defaults)).id;
  try {
    started(conversation, await request<Started>("POST", `api/conversations/${conversation}/messages`, { content, ...usually() }));
  } catch (error) {
    // A question that was refused leaves no empty conversation behind.
    if (id === null) await request("DELETE", `api/conversations/${conversation}`).catch(() => {});
    throw error;
  }
  return conversation;
}

export async function editQuestion(id: string, message: string, content: string): Promise<void> {
  started(id, await request<Started>("POST", `api/conversations/${id}/messages/${message}/edit`, { content, ...usually() }));
}

export async function regenerate(id: string, message: string, how?: How): Promise<void> {
  started(id, await request<Started>("POST", `api/conversations/${id}/messages/${message}/regenerate`, { ...usually(), ...how }));
}

export async function select(id: string, message: string): Promise<void> {
  const { leaf } = await request<{ leaf: string }>("POST", `api/conversations/${id}/messages/${message}/select`, {});
  change(id, (whole) => ({ ...whole, conversation: { ...whole.conversation, leaf } }));
  tellTabs(id);
}

export async function stop(id: string): Promise<void> {
  await request("POST", `api/conversations/${id}/stop`, {}).catch(toastError);
}

export async function changeConversation(id: string, patch: Partial<Conversation>): Promise<void> {
  const conversation = await request<Conversation>("PATCH", `api/conversations/${id}`, patch);
  change(id, (whole) => ({ ...whole, conversation }));
  reread(null);
  tellTabs(id);
}

/** Which sources a conversation, or a new one, is answered from. */
export const scopeOf = (conversation: Conversation | null, defaults: Defaults | undefined): Scope => conversation?.sources ?? defaults?.sources ?? "none";

/** Chooses the sources of a conversation, and of new ones. */
export async function setScope(conversation: Conversation | null, sources: Scope): Promise<void> {
  const defaults = client.getQueryData<Settings>(["settings"])?.defaults;
  await setDefaults({ ...defaults, sources });
  if (conversation) await changeConversation(conversation.id, { sources });
}

export async function setDefaults(defaults: Defaults): Promise<void> {
  await request("PUT", "api/settings/defaults", defaults);
  client.setQueryData<Settings>(["settings"], (settings) => ({ ...settings, defaults }));
}
