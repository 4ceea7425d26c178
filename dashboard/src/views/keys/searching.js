// Search in names and values below a directory, page by page, with what was found as it comes.

import { signal } from "@preact/signals";
import { read, walk } from "../../server/keys.js";
import { user } from "../../state/session.js";
import { baseOf } from "./names.js";

/** Hits that are listed at most. */
export const HITS_MAX = 500;
/** Bytes of a value that are searched with its page; of longer ones the whole is read. */
const CUT = 65_536;
/** Letters of a value that are kept around what was found. */
const AROUND = 40;
const SHOWN = 160;

/** The part of a text around what was found: `{ before, match, after }`; null if nothing was. */
export function partOf(text, wanted) {
  const at = text.toLowerCase().indexOf(wanted);
  if (at < 0 || wanted === "") return null;
  const from = Math.max(0, at - AROUND);
  const end = at + wanted.length;
  const last = from + SHOWN;
  return {
    before: (from > 0 ? "\u2026" : "") + text.slice(from, at),
    match: text.slice(at, end).slice(0, SHOWN),
    after: text.slice(end, last) + (text.length > Math.max(end, last) ? "\u2026" : ""),
  };
}

class Search {
  /** `{ hits, found, looked, state, error }`: "running", "done", "cancelled" or "failed". */
  state = signal({ hits: [], found: 0, looked: 0, state: "running", error: null });
  #abort = new AbortController();

  constructor(given) {
    Object.assign(this, given);
  }

  #set(changes) {
    this.state.value = { ...this.state.value, ...changes };
  }

  cancel() {
    this.#abort.abort();
    if (this.state.value.state === "running") this.#set({ state: "cancelled" });
  }

  async run() {
    const wanted = this.text.toLowerCase();
    try {
      await walk(this.dir, {
        signal: this.#abort.signal,
        hidden: this.hidden,
        preview: CUT,
        onPage: (nodes) => this.#look(nodes, wanted),
      });
      this.#set({ state: "done" });
    } catch (error) {
      if (!this.#abort.signal.aborted) this.#set({ state: "failed", error });
    }
  }

  async #look(nodes, wanted) {
    const found = [];
    for (const node of nodes) {
      const hit = await this.#hit(node, wanted);
      if (hit) found.push(hit);
    }
    this.#abort.signal.throwIfAborted();
    const now = this.state.value;
    const hits = [...now.hits, ...found].slice(0, HITS_MAX);
    this.#set({ hits, found: now.found + found.length, looked: now.looked + nodes.length });
    // The page may do something else in between.
    await new Promise((resolve) => {
      setTimeout(resolve);
    });
  }

  async #hit(node, wanted) {
    const name = node.key.slice(baseOf(this.dir).length);
    let part = node.value === undefined ? null : partOf(node.value, wanted);
    const isCut = node.valueBytes > CUT;
    const isNamed = name.toLowerCase().includes(wanted);
    if (!part && !isNamed && isCut) {
      const given = { signal: this.#abort.signal, hidden: this.hidden };
      const { node: whole } = await read(node.key, given);
      part = partOf(whole.value ?? "", wanted);
    }
    if (!part && !isNamed) return null;
    return {
      key: node.key,
      isDir: Boolean(node.dir),
      name,
      part: part ?? { before: (node.value ?? "").slice(0, SHOWN), match: "", after: "" },
    };
  }
}

/** Grows when the same is to be searched again. */
export const round = signal(0);
/** The last search, which is there again when the view is shown again. */
let last = null;

/** The search of a text below a directory: begun, unless it is the last one. */
export function searchOf(dir, text, hidden) {
  const given = { dir, text, hidden, user: user.value };
  const isSame = last && Object.entries(given).every(([name, value]) => last[name] === value);
  if (!isSame) {
    last?.cancel();
    last = new Search(given);
    last.run();
  }
  return last;
}

/** Searches the same again. */
export function searchAgain() {
  last?.cancel();
  last = null;
  round.value += 1;
}
