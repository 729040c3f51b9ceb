// Whether formulas can be set yet. Until KaTeX is there, and where it cannot be fetched, they are shown as written.

import { useEffect, useSyncExternalStore } from "react";

type Plugins = typeof import("./math");

let plugins: Plugins | null = null;
let loading: Promise<void> | null = null;
const listeners = new Set<() => void>();

export function loadMath(): Promise<void> {
  loading ??= import("./math").then(
    (loaded) => {
      plugins = loaded;
      listeners.forEach((listener) => listener());
    },
    () => {
      loading = null;
    },
  );
  return loading;
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

export function useMath(needed: boolean): Plugins | null {
  useEffect(() => {
    if (needed) void loadMath();
  }, [needed]);
  return useSyncExternalStore(subscribe, () => plugins);
}
