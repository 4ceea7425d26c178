// Sentences that are shown for a while.

import { signal } from "@preact/signals";

const SHOWN_MS = { info: 6000, error: 15_000, undo: 15_000 };

/** Each `{ id, text, kind, action }`; `action` is `{ label, run }` or missing. */
export const toasts = signal([]);
let last = 0;

export function dismiss(id) {
  toasts.value = toasts.value.filter((one) => one.id !== id);
}

/** Says something; with an action, offers it. */
export function say(text, kind = "info", action = undefined) {
  last += 1;
  const id = last;
  toasts.value = [...toasts.value.slice(-3), { id, text, kind, action }];
  setTimeout(() => dismiss(id), SHOWN_MS[action ? "undo" : kind]);
}

/** Shows an error in the words that it came with. */
export function sayError(error) {
  if (error.name !== "AbortError") say(error.message, "error");
}
