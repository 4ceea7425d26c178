// One stream of events for the whole page, from the topmost directory that the user may follow.

import { effect, signal } from "@preact/signals";
import { follow } from "../server/stream.js";
import { seenNow } from "../server/times.js";
import { user } from "./session.js";

/** Bytes of a value that an event carries; whoever needs the whole reads the key. */
const PREVIEW = 4096;
/** More events than this in a second are not looked at one by one. */
const FLOOD = 5000;

/** "connecting", "live", "broken", "refused"; with a sentence. */
export const liveState = signal({ state: "connecting", text: "Connecting" });
/** The last index that was seen. */
export const liveIndex = signal(0);

/** Each is called with an array of events, or with null: anything may have changed. */
const listeners = new Set();
let running = null;
/** Events up to this index are of the past: they came when a broken stream was resumed. */
let pastIndex = 0;
let inSecond = { second: 0, events: 0 };

function give(events) {
  for (const listener of listeners) listener(events);
}

function take(events) {
  const second = Math.floor(Date.now() / 1000);
  if (inSecond.second !== second) inSecond = { second, events: 0 };
  inSecond.events += events.length;
  const last = events[events.length - 1].node.modifiedIndex;
  liveIndex.value = Math.max(liveIndex.value, last);
  if (inSecond.events > FLOOD) return give(null);
  for (const { node } of events) if (node.modifiedIndex > pastIndex) seenNow(node.modifiedIndex);
  give(events);
}

async function run(dirs, abort) {
  for (const dir of dirs) {
    try {
      await follow(dir, {
        signal: abort.signal,
        preview: PREVIEW,
        // What is shown says what may not be read, and asks for a login where it helps.
        isQuiet: true,
        onEvents: take,
        onLost: () => give(null),
        onState(state, text, index) {
          // What changed while nothing was heard comes by its index, or is said to be lost.
          liveState.value = { state, text };
          pastIndex = index ?? pastIndex;
        },
      });
      return;
    } catch (error) {
      if (abort.signal.aborted) return;
      liveState.value = { state: "refused", text: error.message };
    }
  }
}

let wantedDir = "/";

/** Begins the stream anew: from the top, or from `wantedDir` for who may not follow all. */
function restart() {
  running?.abort();
  running = new AbortController();
  run(wantedDir === "/" ? ["/"] : ["/", wantedDir], running);
}

/** The directory that is shown, which is followed where the top may not be. */
export function alsoFollow(dir) {
  if (dir === wantedDir) return;
  wantedDir = dir;
  if (liveState.value.state === "refused") restart();
}

/**
 * Has `listener` called with arrays of events in order, or with null when anything may have
 * changed. Gives the way to end that.
 */
export function onEvents(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function startLive() {
  effect(() => {
    user.value;
    restart();
  });
}
