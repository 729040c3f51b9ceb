// Tells the page's other tabs what changed, so that two of them show the same.

const channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("candor");

/** Says that a conversation changed, or the list alone (`null`). */
export function tellTabs(conversation: string | null): void {
  channel?.postMessage(conversation);
}

export function onTold(listener: (conversation: string | null) => void): void {
  if (channel) channel.onmessage = ({ data }) => listener(typeof data === "string" ? data : null);
}
