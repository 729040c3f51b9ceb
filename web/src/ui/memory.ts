// What this browser remembers. Where it refuses (storage is blocked or full), the page works without.

export function recall(key: string, storage: () => Storage = () => localStorage): string | null {
  try {
    return storage().getItem(key);
  } catch {
    return null;
  }
}

/** `null` forgets. */
export function remember(key: string, value: string | null, storage: () => Storage = () => localStorage): void {
  try {
    if (value === null) storage().removeItem(key);
    else storage().setItem(key, value);
  } catch {
    // It is forgotten at the next reload, and nothing else is lost.
  }
}

export const thisTab = (): Storage => sessionStorage;
