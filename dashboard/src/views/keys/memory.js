// What the view keeps while the page shows another: what is open, chosen, scrolled to and read.

import { effect, signal, untracked } from "@preact/signals";
import { liveState, onEvents } from "../../state/live.js";
import { user } from "../../state/session.js";
import { Listing } from "./listing.js";

/** Listings that are kept though they are not shown. */
const KEPT = 60;
const KINDS_MAX = 5000;
const OPENED_MAX = 200;

/** The directories that are open in the tree. */
export const openDirs = signal(new Set(["/"]));
/** The filter of the tree, and the directory that it is for. */
export const treeFilter = signal({ dir: "/", text: "" });
/** How far lists are scrolled, by what they show. */
export const scrolled = new Map();
/** Whether a key is a directory, as it was last seen. */
const kinds = new Map();
/** What is in directories that may not be listed, as far as it was opened: sets of keys. */
export const opened = signal(new Map());

const listings = new Map();
const shown = new Map();

/** Opens or closes directories in the tree. */
export function setOpen(dirs, isOpen) {
  const now = new Set(openDirs.value);
  for (const dir of dirs) now[isOpen ? "add" : "delete"](dir);
  if (now.size !== openDirs.value.size) openDirs.value = now;
}

export function noteKind(key, isDir) {
  if (kinds.size > KINDS_MAX) kinds.clear();
  kinds.set(key, isDir);
}

/** Whether a key is a directory: undefined where that has not been seen. */
export function kindOf(key) {
  return key === "/" ? true : kinds.get(key);
}

/** Notes a key that was opened in directories that may not be listed. */
export function noteOpened(key, isDir) {
  if (opened.value.get(key) === isDir) return;
  const before = [...opened.value].slice(-OPENED_MAX);
  opened.value = new Map(before).set(key, isDir);
}

/** The listing of a directory with these options; the same as before, if it is still kept. */
export function listingOf(dir, options) {
  const name = JSON.stringify([dir, options]);
  const listing = listings.get(name) ?? new Listing(dir, options);
  listings.delete(name);
  listings.set(name, listing);
  for (const [old, one] of listings) {
    if (listings.size <= KEPT) break;
    if (!shown.has(one)) listings.delete(old);
  }
  return listing;
}

/** Has a listing follow what happens while it is shown. Gives the way to end that. */
export function showListing(listing) {
  const times = shown.get(listing) ?? 0;
  shown.set(listing, times + 1);
  if (times === 0) listing.show();
  return () => {
    const left = shown.get(listing) - 1;
    if (left > 0) return shown.set(listing, left);
    shown.delete(listing);
    return listing.hide();
  };
}

/** Reads all that is shown again. */
export function readAgain() {
  for (const listing of shown.keys()) listing.again();
}

onEvents((events) => {
  for (const listing of [...shown.keys()]) listing.take(events);
});

// What happened before the stream was there.
effect(() => {
  if (liveState.value.state !== "live") return;
  untracked(() => {
    for (const listing of shown.keys()) listing.take(null);
  });
});

// Another user may see something else.
let who = user.value;
effect(() => {
  const now = user.value;
  if (now === who) return;
  who = now;
  untracked(() => {
    opened.value = new Map();
    kinds.clear();
    for (const [name, listing] of listings) if (!shown.has(listing)) listings.delete(name);
    for (const listing of shown.keys()) listing.again();
  });
});
