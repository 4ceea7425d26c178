// The children of a directory, of which only the pages in sight are read, and which follows events.

import { signal } from "@preact/signals";
import { nameOf } from "../../server/api.js";
import { list, NOT_A_DIR, NOT_FOUND } from "../../server/keys.js";
import { compareNames, isEnd, isHidden, isWithin, namesFrom } from "./names.js";

export const PAGE = 200;
/** Pages that are kept: those next to what is in sight. */
const KEPT = 40;
/** Pages that are asked for at once. */
const FLIGHTS = 3;
/** Names that are asked for at once to find where one is. */
const PROBES = 4;
/** What has changed is read again at most so often. */
const AGAIN_MS = 1000;
/** So many children are changed by events; of more the pages in sight are read again. */
const PATCHED_MAX = 1000;

export class Listing {
  /** Grows with each change, for what draws it. */
  version = signal(0);
  /** How many rows there are; null until that is known. */
  total = null;
  /** What the server says of the directory itself, and of the listing. */
  node = null;
  page = {};
  error = null;
  /** How the directory has gone: "deleted" or "expired"; null while it is there. */
  gone = null;

  #options;
  #pages = new Map();
  /** The page that a name is in. */
  #where = new Map();
  /** Positions of names that are in no page, as they were found, and moved by events since. */
  #pins = new Map();
  #wanted = null;
  #flights = new Set();
  #abort = new AbortController();
  #age = 0;
  #index = 0;
  /** The last event that came while something was being read. */
  #missed = 0;
  #isStale = false;
  #isShown = false;
  #readAt = 0;
  #timer = 0;

  /** `options` are the server's: order, filter, hidden, count, keysOnly. */
  constructor(dir, options) {
    this.dir = dir;
    this.#options = options;
  }

  get isByName() {
    return !this.#options.order || this.#options.order === "name";
  }

  /** It is shown from now on: what happened meanwhile is read. */
  show() {
    this.#isShown = true;
    if (this.#abort.signal.aborted) this.#abort = new AbortController();
    if (this.total !== null || this.error) this.stale();
    if (this.total === null) this.error = null;
    this.#pump();
  }

  /** It is shown no more, and costs nothing. */
  hide() {
    this.#isShown = false;
    this.#wanted = null;
    this.#flights.clear();
    this.#abort.abort();
    clearTimeout(this.#timer);
    this.#timer = 0;
  }

  rowAt(at) {
    return this.#pages.get(Math.floor(at / PAGE))?.nodes[at % PAGE];
  }

  /** Where a name is, as far as that is known; undefined otherwise. */
  position(name) {
    const number = this.#where.get(name);
    if (number === undefined) return this.#pins.get(name);
    const at = this.#pages.get(number)?.nodes.findIndex(({ key }) => nameOf(key) === name) ?? -1;
    return at < 0 ? undefined : number * PAGE + at;
  }

  /** The row of a name, if it is in a page that was read. */
  rowOf(name) {
    return this.#where.has(name) ? this.rowAt(this.position(name)) : undefined;
  }

  /** The rows that were read, with their positions. */
  *loaded() {
    for (const [number, { nodes }] of this.#pages) {
      for (const [at, node] of nodes.entries()) yield [number * PAGE + at, node];
    }
  }

  /** Rows from `first` to before `last` are in sight. */
  want(first, last) {
    this.#wanted = [Math.max(0, first), Math.max(first + 1, last)];
    if (this.#isStale) this.stale();
    this.#pump();
  }

  /** None of its rows are in sight. */
  rest() {
    this.#wanted = null;
  }

  /** What was read may no longer be so. */
  stale() {
    this.#isStale = true;
    if (!this.#isShown || !this.#wanted || this.#timer) return;
    const wait = Math.max(0, this.#readAt + AGAIN_MS - Date.now());
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.#again();
    }, wait);
  }

  /** Reads again now, after an error for one. */
  again() {
    this.error = null;
    this.#wanted ??= [0, 1];
    // What is on its way may have been asked by somebody else.
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#flights.clear();
    this.#again();
    this.#changed();
  }

  #again() {
    this.#isStale = false;
    // Who was refused is asked again only where somebody else may be asking.
    if (!this.error?.isRefused) this.error = null;
    this.#age += 1;
    this.#readAt = Date.now();
    const [first, last] = this.#wanted ?? [0, 1];
    for (const number of this.#pages.keys()) {
      const isFar = number < Math.floor(first / PAGE) || number > Math.floor((last - 1) / PAGE);
      if (isFar) this.#drop(number);
    }
    this.#pump();
  }

  #drop(number) {
    for (const { key } of this.#pages.get(number)?.nodes ?? []) {
      if (this.#where.get(nameOf(key)) === number) this.#where.delete(nameOf(key));
    }
    this.#pages.delete(number);
  }

  #put(number, nodes) {
    this.#drop(number);
    this.#pages.set(number, { nodes, age: this.#age });
    for (const { key } of nodes) this.#where.set(nameOf(key), number);
    const center = Math.floor((this.#wanted?.[0] ?? 0) / PAGE);
    while (this.#pages.size > KEPT) {
      const far = [...this.#pages.keys()].reduce((one, other) =>
        Math.abs(other - center) > Math.abs(one - center) ? other : one,
      );
      this.#drop(far);
    }
  }

  #changed() {
    this.version.value += 1;
  }

  /** Asks for the pages in sight that are missing. */
  #pump() {
    if (!this.#wanted || !this.#isShown || this.error) return;
    const last = Math.min(this.#wanted[1], this.total ?? 1);
    for (let at = Math.floor(this.#wanted[0] / PAGE); at === 0 || at * PAGE < last; at += 1) {
      if (this.#flights.size >= FLIGHTS) return;
      if (this.#pages.get(at)?.age === this.#age || this.#flights.has(at)) continue;
      if (at > 0 && this.total === null) return;
      this.#fetch(at);
    }
  }

  async #fetch(number) {
    const { signal: abort } = this.#abort;
    const age = this.#age;
    this.#flights.add(number);
    this.#readAt = Date.now();
    try {
      const answer = await this.#ask({ limit: PAGE, offset: number * PAGE || undefined }, abort);
      if (abort.aborted) return;
      this.#take(number, answer, age);
    } catch (error) {
      if (abort.aborted) return;
      // What is shown stays; whether the server answers is told of above.
      const isNone = error.isRefused || error.code === NOT_FOUND || error.code === NOT_A_DIR;
      if (this.total === null || isNone) this.error = error;
      else this.#isStale = true;
    }
    this.#flights.delete(number);
    this.#changed();
    this.#pump();
  }

  #ask(given, abort) {
    return list(this.dir, { ...this.#options, ...given, signal: abort });
  }

  #take(number, { index, node, nodes, page }, age) {
    const before = this.total;
    this.node = node;
    this.gone = null;
    this.#index = index;
    this.page = { ...this.page, ...page };
    this.total = (this.#options.filter ? page.matching : page.children) ?? nodes.length;
    this.#put(number, nodes);
    if (age !== this.#age) this.#pages.get(number).age = age;
    // Where others are may have changed too.
    if (before !== null && before !== this.total && this.#pages.size > 1) this.stale();
    if (this.#missed > index) this.stale();
    else this.#missed = 0;
  }

  /** Whether all of it has been read. */
  get isComplete() {
    return this.total !== null && this.total <= PATCHED_MAX && this.#where.size === this.total;
  }

  /** Takes in what has happened: events in order, or null for anything. */
  take(events) {
    if (events === null) {
      this.#pins.clear();
      this.stale();
      return;
    }
    let hasChanged = false;
    for (const event of events) hasChanged = this.#apply(event) || hasChanged;
    if (hasChanged) this.#changed();
  }

  #apply(event) {
    const { action, node } = event;
    if (isEnd(action) && isWithin(this.dir, node.key)) {
      this.gone = action === "expire" ? "expired" : "deleted";
      // There is nothing to be read until it is made again.
      clearTimeout(this.#timer);
      [this.#timer, this.#isStale] = [0, false];
      return true;
    }
    if (!isWithin(node.key, this.dir)) return false;
    if (this.#flights.size) this.#missed = Math.max(this.#missed, node.modifiedIndex);
    if (node.modifiedIndex <= this.#index || (this.total === null && !this.error)) return false;
    // Who was refused is asked again only where somebody else may be asking.
    if (this.error?.isRefused) return false;
    if (this.gone || this.error || node.key === this.dir) {
      this.error = null;
      this.stale();
      return false;
    }
    const names = namesFrom(this.dir, node.key);
    if (!this.#options.hidden && names.some(isHidden)) return false;
    if (names.length > 1) return this.#deeper(names, event);
    return isEnd(action) ? this.#without(names[0]) : this.#with(names[0], event);
  }

  /** Something happened further below. */
  #deeper([name, ...rest], { action, prevNode }) {
    const step = isEnd(action) ? -1 : prevNode ? 0 : 1;
    const row = this.rowOf(name);
    if (step === 0) return false;
    // It may have made the directory.
    if (!row && step > 0) this.stale();
    if (!this.#options.count) return false;
    this.stale();
    if (this.page.below !== undefined) this.page.below += step;
    if (row?.children !== undefined && rest.length === 1) row.children += step;
    return true;
  }

  #with(name, { node, prevNode }) {
    const { nodes: _, ...now } = node;
    const at = this.position(name);
    const row = this.rowOf(name);
    if (row) {
      if (row.modifiedIndex >= node.modifiedIndex) return false;
      const children = now.dir && row.dir ? { children: row.children } : {};
      this.#pages.get(this.#where.get(name)).nodes[at % PAGE] = { ...children, ...now };
      if (!this.isByName) this.stale();
      return true;
    }
    if (prevNode && !prevNode.dir) {
      if (!this.isByName) this.stale();
      return false;
    }
    if (this.#options.filter) {
      this.stale();
      return false;
    }
    this.#count(1);
    if (!this.isByName || this.total - 1 !== this.#where.size || this.total > PATCHED_MAX) {
      this.#move(name, 1);
      this.stale();
      return true;
    }
    const all = [...this.#all(), now];
    all.sort((one, other) => compareNames(nameOf(one.key), nameOf(other.key)));
    this.#replace(all);
    return true;
  }

  #without(name) {
    const row = this.rowOf(name);
    const wasComplete = this.isComplete;
    if (this.#options.filter && !row) return false;
    this.#count(-1);
    this.#pins.delete(name);
    if (row && wasComplete) this.#replace(this.#all().filter((one) => one !== row));
    else {
      this.#move(name, -1);
      this.stale();
    }
    // What was below it has gone as well.
    if (row?.dir && this.#options.count) this.stale();
    return true;
  }

  #count(step) {
    this.total += step;
    if (this.page.children !== undefined) this.page.children += step;
    if (this.page.below !== undefined) this.page.below += step;
    if (this.page.matching !== undefined) this.page.matching += step;
  }

  /** Moves the positions behind a name. */
  #move(name, step) {
    for (const [one, at] of this.#pins) {
      if (compareNames(one, name) > 0) this.#pins.set(one, at + step);
    }
  }

  #all() {
    const numbers = [...this.#pages.keys()].sort((one, other) => one - other);
    return numbers.flatMap((number) => this.#pages.get(number).nodes);
  }

  #replace(all) {
    this.#pages.clear();
    this.#where.clear();
    for (let at = 0; at * PAGE < Math.max(1, all.length); at += 1) {
      this.#put(at, all.slice(at * PAGE, (at + 1) * PAGE));
    }
  }

  /** The row at a position, which is read if it was not. */
  async fetchRow(at) {
    const there = this.rowAt(at);
    if (there) return there;
    const { nodes } = await this.#ask({ limit: 1, offset: at || undefined }, this.#abort.signal);
    return nodes[0];
  }

  /** Finds where a name is, in a listing by name; gives its position, or undefined. */
  async locate(name) {
    if (this.#where.has(name) && !this.#isStale) return this.position(name);
    const { signal: abort } = this.#abort;
    const small = { keysOnly: true };
    const { nodes, page } = await this.#ask({ ...small, limit: PAGE }, abort);
    const total = (this.#options.filter ? page.matching : page.children) ?? nodes.length;
    let [low, high, found] = [0, total, nodes];
    if (total > PAGE && compareNames(name, nameOf(nodes.at(-1).key)) > 0) {
      // The name is in [low, high).
      low = PAGE;
      while (high - low > PAGE) {
        const step = (high - low) / (PROBES + 1);
        const at = Array.from({ length: PROBES }, (_, n) => Math.floor(low + step * (n + 1)));
        const probed = await Promise.all(
          at.map((offset) => this.#ask({ ...small, limit: 1, offset }, abort)),
        );
        for (const [
          n,
          {
            nodes: [node],
          },
        ] of probed.entries()) {
          if (node && compareNames(nameOf(node.key), name) <= 0) low = Math.max(low, at[n]);
          else high = Math.min(high, at[n]);
        }
      }
      ({ nodes: found } = await this.#ask({ ...small, limit: PAGE + 1, offset: low }, abort));
    }
    const there = found.findIndex(({ key }) => nameOf(key) === name);
    if (there < 0) {
      this.#pins.delete(name);
      return undefined;
    }
    this.#pins.set(name, low + there);
    // The listing is older than the name.
    if (this.isComplete || total !== this.total) this.stale();
    this.#changed();
    return low + there;
  }
}
