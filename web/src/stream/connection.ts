// Whether the server can be reached. While it cannot, it is asked every few seconds, and the page shows a banner.

type Listener = () => void;

class Connection {
  private gone = false;
  private listeners = new Set<Listener>();
  private timer: ReturnType<typeof setTimeout> | undefined;

  isGone = (): boolean => this.gone;

  subscribe = (listener: Listener): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  lost(): void {
    if (!this.gone) this.set(true);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.retry(), 3000);
  }

  found(): void {
    clearTimeout(this.timer);
    if (this.gone) this.set(false);
  }

  async retry(): Promise<void> {
    try {
      const response = await fetch(new URL("health", document.baseURI), { cache: "no-store" });
      if (response.ok) this.found();
      else this.lost();
    } catch {
      this.lost();
    }
  }

  private set(gone: boolean): void {
    this.gone = gone;
    this.listeners.forEach((listener) => listener());
  }
}

export const connection = new Connection();
