// Sources and collections: what answers are quoted from. Uploads and collections go through the API that everyone has.

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { request } from "./client";
import { client } from "./hooks";
import type { Collection, Passage, Shelf } from "./types";

/** The list, asked again every second while something in it is being read. */
export const useShelf = (words = "", collection: string | null = null) =>
  useQuery({
    queryKey: ["sources", words, collection],
    queryFn: () => {
      const asked = new URLSearchParams({ q: words, ...(collection ? { collection } : {}) });
      return request<Shelf>("GET", `api/sources?${asked}`);
    },
    placeholderData: keepPreviousData,
    refetchInterval: ({ state }) => (state.data && state.data.reading > 0 ? 1000 : false),
  });

interface VectorStore {
  id: string;
  name: string | null;
  file_counts: { total: number };
}

export const useCollections = () =>
  useQuery({
    queryKey: ["collections"],
    queryFn: async (): Promise<Collection[]> => {
      const { data } = await request<{ data: VectorStore[] }>("GET", "v1/vector_stores?limit=100");
      return data.map(({ id, name, file_counts }) => ({ id, name: name || id, files: file_counts.total }));
    },
  });

/** The words around a passage, at most `around` bytes before and after it. */
export const usePassage = (file: string, start: number, end: number, around: number) =>
  useQuery({
    queryKey: ["passage", file, start, end, around],
    queryFn: () => request<Passage>("GET", `api/sources/${encodeURIComponent(file)}/passage?start=${start}&end=${end}&around=${around}`),
    placeholderData: keepPreviousData,
    retry: false,
  });

/** Reads anew what sources and collections there are, and what kept answers say of them. Other tabs do when they are looked at. */
export function refreshSources(): void {
  for (const queryKey of [["sources"], ["collections"], ["passage"]]) void client.invalidateQueries({ queryKey });
  void client.invalidateQueries({ queryKey: ["conversation"] });
}

const store = (id: string) => `v1/vector_stores/${encodeURIComponent(id)}`;

export async function removeSource(id: string): Promise<void> {
  await request("DELETE", `v1/files/${encodeURIComponent(id)}`);
  refreshSources();
}

export async function makeCollection(name: string): Promise<string> {
  const { id } = await request<VectorStore>("POST", "v1/vector_stores", { name });
  refreshSources();
  return id;
}

export async function removeCollection(id: string): Promise<void> {
  await request("DELETE", store(id));
  refreshSources();
}

export async function join(collection: string, source: string): Promise<void> {
  await request("POST", `${store(collection)}/files`, { file_id: source });
  refreshSources();
}

export async function leave(collection: string, source: string): Promise<void> {
  await request("DELETE", `${store(collection)}/files/${encodeURIComponent(source)}`);
  refreshSources();
}
