// Which key sends what was written.

/**
 * Enter, without Shift. Not while a method composes characters: there Enter chooses one, and some browsers report it
 * after the composition has ended, with the code 229. Not where there is no mouse: a phone's keyboard has no Shift+Enter,
 * and the send button is under the thumb.
 */
export function sends(event: KeyboardEvent): boolean {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return false;
  return event.ctrlKey || event.metaKey || !matchMedia("(hover: none) and (pointer: coarse)").matches;
}
