// What happens to files that are added: they are sent, and the conversation is answered from them from now on.

import { client, conversationQuery, scopeOf, setScope, settingsQuery } from "../api/hooks";
import { toastError } from "../ui/toasts";
import { uploads } from "./uploads";

/**
 * Adds files at a conversation, or before the first question of a new one. They join `collection`, or the first one that
 * it is answered from; where it is answered from no sources, it is from all of them now.
 */
export function addSources(files: File[], id: string | null, collection?: string | null): void {
  if (files.length === 0) return;
  take(files, id, collection ?? null).catch(toastError);
}

async function take(files: File[], id: string | null, collection: string | null): Promise<void> {
  // A file may be dropped before either has been fetched.
  const settings = await client.ensureQueryData(settingsQuery);
  const conversation = id ? (await client.ensureQueryData(conversationQuery(id))).conversation : null;
  const scope = scopeOf(conversation, settings.defaults);
  uploads.add(files, collection ?? (typeof scope === "object" ? (scope.collections[0] ?? null) : null));
  if (scope === "none") await setScope(conversation, "all");
}
