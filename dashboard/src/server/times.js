// When an index of the store was made, as the server knows it.

import { signal } from "@preact/signals";
import { call, POLL } from "./api.js";

/** Indexes that one question names. */
const ASKED_MAX = 500;
const KNOWN_MAX = 20_000;

/** Grows whenever more is known, so that what shows times is drawn anew. */
export const timesKnown = signal(0);
/** Milliseconds, or null where the server does not know, by index. */
const known = new Map();
let wanted = new Set();
let timer = 0;

/** Keeps a moment; the one that was kept first goes where there are too many. */
function keep(index, time) {
  if (known.size >= KNOWN_MAX && !known.has(index)) known.delete(known.keys().next().value);
  known.set(index, time);
}

async function ask() {
  timer = 0;
  const indexes = [...wanted].slice(0, ASKED_MAX);
  wanted = new Set([...wanted].slice(ASKED_MAX));
  try {
    const path = `/v2/stats/times?index=${indexes.join(",")}`;
    const { times } = await call(path, { as: null, headers: POLL });
    for (const index of indexes) keep(index, times[index] ?? null);
    timesKnown.value += 1;
  } catch {
    // Asked again when it is drawn again.
  }
  if (wanted.size) timer ||= setTimeout(ask, 50);
}

/** Notes that an index was made now, which an event of a stream says. */
export function seenNow(index) {
  if (!known.has(index)) keep(index, Date.now());
}

/** The moment of an index: milliseconds, null if the server does not know, undefined at first. */
export function timeOf(index) {
  // Whoever reads it is drawn anew when there is more.
  timesKnown.value;
  const time = known.get(index);
  if (time === undefined && index > 0) {
    wanted.add(index);
    timer ||= setTimeout(ask, 50);
  }
  return time;
}
