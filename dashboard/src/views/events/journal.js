// The events that have come, up to a bound: they stay while the reader looks at another view, and
// the stream goes on from where it was when the reader comes back.

import { signal } from "@preact/signals";
import { seenNow } from "../../server/times.js";
import { follow } from "../../server/stream.js";

/** Rows that are kept, and rows that wait while the list is paused. */
export const KEPT_MAX = 5000;
const WAITING_MAX = 5000;
/** Bytes of a value that the server sends. */
export const PREVIEW = 4096;

/** The newest first: events as rows, and what was lost as rows. */
export const rows = signal([]);
/** What was lost, the newest first: it is told of beside the rows, which go on. */
export const losses = signal([]);
const LOSSES_MAX = 3;
/** How many came in all since the list was last cleared. */
export const seen = signal(0);
/** Rows that wait because the list is paused, and whether some of them had to go. */
export const waiting = signal({ number: 0, dropped: 0 });
export const isPaused = signal(false);
/** `{ state, text }` of the stream; "off", "connecting", "live", "broken", "refused". */
export const state = signal({ state: "off", text: "" });

let held = [];
let dropped = 0;
let number = 0;
let followed = null;
let next = 0;
let running = null;

/** Whether a row is looked for: those that are not go first where there are too many. */
let isWanted = () => true;

export function keepFirst(filter) {
  isWanted = filter;
}

/** The newest rows, as many as are kept. */
function kept(all) {
  let excess = all.length - KEPT_MAX;
  if (excess <= 0) return all;
  const left = [];
  for (let at = all.length - 1; at >= 0; at -= 1) {
    if (excess > 0 && !isWanted(all[at])) excess -= 1;
    else left.push(all[at]);
  }
  return left.reverse().slice(0, KEPT_MAX);
}

/** What of an event is kept. */
function rowOf({ action, node, prevNode }, isPast) {
  number += 1;
  return {
    id: number,
    index: node.modifiedIndex,
    at: isPast ? null : Date.now(),
    action,
    key: node.key,
    isDir: Boolean(node.dir),
    value: node.value,
    valueBytes: node.valueBytes,
    ttl: node.ttl,
    expiration: node.expiration,
    before: prevNode?.value,
    beforeBytes: prevNode?.valueBytes,
    beforeIndex: prevNode?.modifiedIndex,
    wasThere: prevNode !== undefined,
  };
}

function add(come) {
  // What has come is in order; the list has the newest first.
  const newest = come.reverse();
  if (isPaused.value) {
    held = [...newest, ...held];
    dropped += Math.max(0, held.length - WAITING_MAX);
    held = held.slice(0, WAITING_MAX);
    waiting.value = { number: held.length, dropped };
    return;
  }
  rows.value = kept([...newest, ...rows.value]);
}

/** Shows what has waited, and what comes. */
export function goOn() {
  isPaused.value = false;
  const come = held;
  const gone = dropped;
  clearHeld();
  const lost = gone ? [{ id: (number += 1), isDropped: true, count: gone }] : [];
  rows.value = kept([...come, ...lost, ...rows.value]);
}

function clearHeld() {
  held = [];
  dropped = 0;
  waiting.value = { number: 0, dropped: 0 };
}

export function pause() {
  isPaused.value = true;
}

export function clear() {
  clearHeld();
  losses.value = [];
  rows.value = [];
  seen.value = 0;
}

async function run(dir, abort) {
  let pastIndex = 0;
  try {
    await follow(dir, {
      signal: abort.signal,
      preview: PREVIEW,
      from: next || undefined,
      onEvents(events) {
        seen.value += events.length;
        for (const { node } of events) {
          next = Math.max(next, node.modifiedIndex + 1);
          if (node.modifiedIndex > pastIndex) seenNow(node.modifiedIndex);
        }
        add(events.map((event) => rowOf(event, event.node.modifiedIndex <= pastIndex)));
      },
      onLost({ first, last }) {
        next = last + 1;
        number += 1;
        const loss = { id: number, isLost: true, first, last };
        losses.value = [loss, ...losses.value].slice(0, LOSSES_MAX);
        add([loss]);
      },
      onProgress(index) {
        next = Math.max(next, index + 1);
      },
      onState(name, text, index) {
        state.value = { state: name, text };
        pastIndex = index ?? pastIndex;
        next ||= index === undefined ? 0 : index + 1;
      },
    });
  } catch (error) {
    if (!abort.signal.aborted) state.value = { state: "refused", text: error.message };
  }
}

/**
 * Follows a directory until the function that it gives is called. The same directory again goes on
 * where it ended, for the same user; another one begins anew. `who` is who is logged in.
 */
export function begin(dir, who) {
  const what = JSON.stringify([dir, who]);
  if (what !== followed) {
    [followed, next] = [what, 0];
    clear();
    isPaused.value = false;
  }
  running = new AbortController();
  const mine = running;
  state.value = { state: "connecting", text: "Connecting" };
  run(dir, mine);
  return () => mine.abort();
}
