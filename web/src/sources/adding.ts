// What happens to files that are added: they are sent, and the conversation is answered from them from now on.

import { client, scopeOf, setScope } from "../api/hooks";
import type { Settings, Whole } from "../api/types";
import { toastError } from "../ui/toasts";
import { uploads } from "./uploads";

/**
 * Adds files at a conversation, or before the first question of a new one. They join `collection`, or the first one that
 * it is answered from; where it is answered from no sources, it is from all of them now.
 */
export function addSources(files: File[], id: string | null, collection?: string | null): void {
  if (files.length === 0) return;
  const conversation = id ? (client.getQueryData<Whole>(["conversation", id])?.conversation ?? null) : null;
  const scope = scopeOf(conversation, client.getQueryData<Settings>(["settings"])?.defaults);
  uploads.add(files, collection ?? (typeof scope === "object" ? (scope.collections[0] ?? null) : null));
  if (scope === "none") setScope(conversation, "all").catch(toastError);
}
