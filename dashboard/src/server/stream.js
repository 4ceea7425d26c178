// The events below a directory, over broken connections and restarts of servers too.

import { ApiError, keyPath, request } from "./api.js";
import { authorization } from "./credentials.js";

const RETRY_MS = 1000;
/** Events that come within this time are given together. */
const BATCH_MS = 100;
/** The code of an error that says that the history no longer reaches back. */
const CLEARED = 401;

/**
 * The first index that can still be had, which such an error names: "... cleared [FIRST/WANTED]".
 */
function firstLeft(error) {
  const [, first] = /\[(\d+)\/\d+\]/.exec(error.cause ?? "") ?? [];
  return first === undefined ? error.index + 1 : Number(first);
}

/** Splits JSON objects that follow one another, as a stream of events sends them. */
export class Splitter {
  #text = "";
  #at = 0;
  #depth = 0;
  #quoted = false;

  /** Takes more text in, and gives the objects that are complete. */
  push(text) {
    this.#text += text;
    const found = [];
    let start = 0;
    const mark = /["\\{}]/g;
    for (;;) {
      mark.lastIndex = this.#at;
      const match = mark.exec(this.#text);
      if (!match) {
        this.#at = this.#text.length;
        break;
      }
      if (match[0] === "\\") {
        // What is escaped may not have come yet.
        if (match.index + 1 >= this.#text.length) {
          this.#at = match.index;
          break;
        }
        this.#at = match.index + 2;
        continue;
      }
      this.#at = match.index + 1;
      if (match[0] === '"') this.#quoted = !this.#quoted;
      else if (!this.#quoted && match[0] === "{") this.#depth += 1;
      else if (!this.#quoted) {
        this.#depth -= 1;
        if (this.#depth === 0) {
          found.push(JSON.parse(this.#text.slice(start, this.#at)));
          start = this.#at;
        }
      }
    }
    this.#text = this.#text.slice(start);
    this.#at -= start;
    return found;
  }
}

/** Gathers events, and gives them on a little later. */
class Batch {
  #events = [];
  #timer = 0;
  #give;

  constructor(give) {
    this.#give = give;
  }

  add(event) {
    this.#events.push(event);
    this.#timer ||= setTimeout(() => this.flush(), BATCH_MS);
  }

  flush() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    const events = this.#events;
    this.#events = [];
    if (events.length) this.#give(events);
  }
}

/**
 * Follows the events below `dir` until `signal` ends it or the server refuses (then it throws).
 * `onEvents` is given arrays of events in their order; `onState` one of "connecting", "live",
 * "broken" with a sentence, and for "live" the store's index at that time, up to which events are
 * of the past; `onLost` is told `{ first, last }`: that events with these indexes and those
 * between them are lost; `onProgress`, if given, an index up to which all events have come.
 * `preview` is the number of bytes of a value that is sent, all if missing. `from` is the first
 * index that is wanted, the present if missing. With `isQuiet` nobody is asked to log in for it.
 */
export async function follow(dir, options) {
  const { signal, onEvents, onState, onLost, onProgress, preview, from, isQuiet } = options;
  const flags = `wait=true&recursive=true&stream=true&hidden=true&progress=true`;
  const base = `${keyPath(dir)}?${flags}${preview === undefined ? "" : `&preview=${preview}`}`;
  const batch = new Batch(onEvents);
  let next = from ?? 0;
  while (!signal.aborted) {
    try {
      onState("connecting", "Connecting");
      const answer = await request(next ? `${base}&waitIndex=${next}` : base, {
        signal,
        as: isQuiet ? authorization() : undefined,
      });
      next ||= Number(answer.headers.get("X-Etcd-Index")) + 1 || 0;
      onState("live", "Connected", Number(answer.headers.get("X-Etcd-Index")) || 0);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      const splitter = new Splitter();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        for (const event of splitter.push(value)) {
          if (event.errorCode) throw new ApiError(400, JSON.stringify(event));
          if (event.action === "progress") {
            next = Math.max(next, event.index + 1);
            onProgress?.(event.index);
          } else {
            next = Math.max(next, event.node.modifiedIndex + 1);
            batch.add(event);
          }
        }
      }
      batch.flush();
      onState("broken", "The server closed the stream. Reconnecting.");
    } catch (error) {
      batch.flush();
      if (error.name === "AbortError" || signal.aborted) return;
      if (error.isRefused) throw error;
      if (error.code === CLEARED) {
        const first = firstLeft(error);
        onLost({ first: next, last: first - 1 });
        next = first;
        continue;
      }
      const said = error instanceof TypeError ? "The connection broke." : error.message;
      onState("broken", `${said} Reconnecting.`);
    }
    await new Promise((resolve) => {
      setTimeout(resolve, RETRY_MS);
    });
  }
}
