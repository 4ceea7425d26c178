// What the server says of itself, and what the reader has chosen.

import { effect, signal } from "@preact/signals";
import { call } from "../server/api.js";

/** `{ name, version, metrics, readOnly }` of the machine behind the page; null at first. */
export const settings = signal(null);

export async function readSettings() {
  settings.value = await call("/mod/dashboard/settings.json", { as: null });
}

const PREFIX = "stead-";

/** A choice that is kept in this browser. */
function choice(name, first) {
  const made = signal(localStorage.getItem(PREFIX + name) ?? first);
  effect(() => localStorage.setItem(PREFIX + name, made.value));
  return made;
}

export const THEMES = ["system", "light", "dark"];
export const theme = choice("theme", "system");
/** Whether hidden nodes are shown: "yes" or "no". */
export const hidden = choice("hidden", "no");
/** Whether times are shown in UTC: "local" or "utc". */
export const zone = choice("zone", "local");

effect(() => {
  if (theme.value === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.value;
});
