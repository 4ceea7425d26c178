// The key that is open: read when it is gone to, and followed from then on.

import { effect, signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { ApiError, parentOf } from "../../server/api.js";
import { NOT_FOUND, read } from "../../server/keys.js";
import { mustAsk } from "../../state/leaving.js";
import { liveState, onEvents } from "../../state/live.js";
import { user } from "../../state/session.js";
import { hidden } from "../../state/settings.js";
import { kindOf, noteKind, noteOpened } from "./memory.js";
import { isEnd, isWithin } from "./names.js";

/** What has changed and is not in the event is read again at most so often. */
const AGAIN_MS = 1000;
const encoder = new TextEncoder();

/** Whether an event carries the whole value. */
function isWhole({ value, valueBytes }) {
  return (
    value !== undefined && (valueBytes === undefined || encoder.encode(value).length === valueBytes)
  );
}

class Opened {
  /** `{ node, index, error, gone, isDir }`. */
  state = signal({ node: null, index: 0, error: null, gone: null, isDir: undefined });
  #abort = new AbortController();
  #timer = 0;
  #readAt = 0;
  #isReading = false;
  #missed = 0;

  /** `before` is what another user saw of it, where that is to stay. */
  constructor(key, before) {
    this.key = key;
    this.#set(before ?? { isDir: kindOf(key) });
  }

  #set(changes) {
    this.state.value = { ...this.state.value, ...changes };
  }

  /** Follows it until what this gives is called. */
  start() {
    const end = onEvents((events) => this.#take(events));
    if (!this.state.value.isDir) this.read().catch(() => {});
    // What happened before the stream was there.
    let isFirst = true;
    const endLive = effect(() => {
      const isLive = liveState.value.state === "live";
      if (isLive && !isFirst && !this.state.peek().isDir) this.#later();
      isFirst = false;
    });
    return () => {
      end();
      endLive();
      clearTimeout(this.#timer);
      this.#abort.abort();
    };
  }

  /** It has turned out to be a key, where a directory was expected. */
  isKey() {
    noteKind(this.key, false);
    this.#set({ isDir: false });
    return this.read();
  }

  read = async () => {
    this.#abort.abort();
    this.#abort = new AbortController();
    const { signal: abort } = this.#abort;
    [this.#readAt, this.#isReading, this.#missed] = [Date.now(), true, 0];
    try {
      const { index, node } = await read(this.key, { signal: abort, hidden: true });
      noteKind(this.key, Boolean(node.dir));
      noteOpened(this.key, Boolean(node.dir));
      const { nodes: _, ...own } = node;
      this.#set({ node: own, index, error: null, gone: null, isDir: Boolean(node.dir) });
      if (this.#missed > index) this.#later();
    } catch (error) {
      if (abort.aborted) return;
      // What was seen of it stays, with what became of it.
      if (error.code === NOT_FOUND && this.state.value.node) {
        this.#set({ gone: this.state.value.gone ?? "deleted" });
      } else if (error instanceof ApiError || !this.state.value.node) this.#set({ error });
    } finally {
      this.#isReading = false;
    }
  };

  #later() {
    if (this.#timer) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = 0;
        this.read();
      },
      Math.max(0, this.#readAt + AGAIN_MS - Date.now()),
    );
  }

  #take(events) {
    const { isDir, index, node: known } = this.state.value;
    if (events === null) {
      if (!isDir) this.#later();
      return;
    }
    for (const { action, node } of events) {
      const isAway = isEnd(action) && isWithin(this.key, node.key);
      if (!isAway && node.key !== this.key) continue;
      if (this.#isReading) this.#missed = Math.max(this.#missed, node.modifiedIndex);
      if (node.modifiedIndex <= index) continue;
      if (isAway) {
        clearTimeout(this.#timer);
        this.#timer = 0;
        if (known || isDir) this.#set({ gone: action === "expire" ? "expired" : "deleted" });
      } else if (node.dir) {
        noteKind(this.key, true);
        this.#set({ isDir: true, error: null, gone: null });
      } else if (isWhole(node)) {
        const { valueBytes: _, ...whole } = node;
        noteKind(this.key, false);
        const fresh = { error: null, gone: null, isDir: false };
        this.#set({ ...fresh, node: whole, index: node.modifiedIndex });
      } else this.#later();
    }
  }
}

/** The last, so that it is there at once when the view is shown again. */
let last = null;

/** What is known of the key at a place, with `reload()` and `isKey()`. */
export function useOpened(key) {
  const [, draw] = useState(0);
  if (last?.key !== key || last.user !== user.value) {
    // Whoever logs in in the middle of an edit goes on with it.
    const before = last?.key === key && mustAsk() ? last.state.value : undefined;
    last = Object.assign(new Opened(key, before), { user: user.value });
  }
  const mine = last;
  useEffect(() => {
    const end = mine.start();
    draw((number) => number + 1);
    return end;
  }, [mine, hidden.value]);
  return { ...mine.state.value, reload: mine.read, isKey: () => mine.isKey() };
}

/** The directory that a place is, or is in. */
export function dirOf(key, isDir) {
  return isDir || key === "/" ? key : parentOf(key);
}
