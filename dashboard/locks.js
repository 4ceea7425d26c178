// Locks and elections: who holds, who waits.

import { call, nameOf } from "./api.js";
import { duration, h, Table, time, visible } from "./dom.js";

/** Always there, other than the directory of locks in it. */
const DIR = "/v2/keys/_etcd?recursive=true&sorted=true";
/** Those who have a right to locks may not have one to all that is beside them. */
const LOCKS = "/v2/keys/_etcd/mod/lock?recursive=true&sorted=true";

/** A lock's directory under which its name begins. */
const ROOT = "/_etcd/mod/lock/";

/**
 * The locks below directories, each as its name and places. A name may have slashes in it, so that a
 * directory can hold the places of one lock, and other locks.
 */
function locksIn(dirs) {
  const found = [];
  const rest = [...dirs].reverse();
  while (rest.length) {
    const { key, nodes = [] } = rest.pop();
    const places = nodes.filter((node) => !node.dir && /^\d+$/.test(nameOf(node.key)));
    if (places.length || !nodes.length) found.push({ name: key.slice(ROOT.length), places });
    rest.push(...nodes.filter((node) => node.dir).reverse());
  }
  return found;
}

class Locks {
  #context;
  /** Since when this page looks. */
  #began = null;
  #seesAll = true;
  #list = h("div", { class: "locks" });
  /** When this page first saw a place in a queue, by its key. */
  #seen = new Map();
  /** By the name of the lock. */
  #tables = new Map();
  #none = h("p", { class: "empty" }, "No locks yet.");

  constructor(context) {
    this.#context = context;
    this.element = h("div", { class: "page" }, h("section", { class: "card", "aria-labelledby": "l-title" },
      h("h2", { id: "l-title" }, "Locks and elections"),
      h("p", { class: "note" }, "The index of an entry in the queue is a fencing token: it grows with every holder. The server keeps no time of its beginning: \"since\" is as long as this page has seen it."),
      this.#list));
  }

  start() {
    this.#context.every(1, (signal) => this.#look(signal));
  }

  async #look(signal) {
    const found = locksIn(await this.#find(signal));
    const now = Date.now();
    const keys = new Set();
    this.#began ??= now;
    const cards = found.map(({ name, places: nodes }) => {
      const places = nodes.map((place) => ({ ...place, number: Number(nameOf(place.key)) })).sort((one, other) => one.number - other.number);
      for (const place of places) {
        keys.add(place.key);
        if (!this.#seen.has(place.key)) this.#seen.set(place.key, now);
      }
      return this.#card(name, places, now);
    });
    for (const key of this.#seen.keys()) {
      if (!keys.has(key)) this.#seen.delete(key);
    }
    const names = new Set(found.map((lock) => lock.name));
    for (const name of this.#tables.keys()) {
      if (!names.has(name)) this.#tables.delete(name);
    }
    this.#place(cards.length ? cards : [this.#none]);
  }

  /** The directories of the locks. */
  async #find(signal) {
    const inside = (dir, name) => dir?.nodes?.find((node) => nameOf(node.key) === name);
    if (this.#seesAll) {
      try {
        const own = (await call(DIR, { signal })).node;
        return inside(inside(own, "mod"), "lock")?.nodes ?? [];
      } catch (error) {
        if (!error.isRefused) throw error;
        this.#seesAll = false;
      }
    }
    try {
      return (await call(LOCKS, { signal })).node.nodes ?? [];
    } catch (error) {
      if (error.code === 100) return [];
      throw error;
    }
  }

  /** What was there when the page began to look is older than that. */
  #since(key, now) {
    const seen = this.#seen.get(key);
    return `${seen === this.#began ? "longer than " : ""}${duration((now - seen) / 1000)}`;
  }

  #card(name, places, now) {
    const rows = places.map((place, at) => h("tr", {}, ...[
      h("span", { class: `role ${at === 0 ? "leader" : "follower"}` }, at === 0 ? "holds" : `waiting, position ${at}`),
      h("code", {}, visible(place.value)), String(place.number),
      this.#since(place.key, now),
      place.ttl === undefined ? "no expiry" : `${duration(place.ttl)} (${time(place.expiration)})`,
    ].map((cell) => h("td", {}, cell))));
    if (!this.#tables.has(name)) this.#tables.set(name, new Table(`Lock ${visible(name)}`, ["State", "Value", "Index", "Since", "Until"], "Not held."));
    const table = this.#tables.get(name);
    table.caption = places.length ? `${visible(name)}: held by ${visible(places[0].value)}, ${places.length - 1} waiting` : `${visible(name)}: free`;
    table.show(rows);
    return table.element;
  }

  /** Changes the page only where a lock came or went: an element that is moved loses the focus. */
  #place(elements) {
    const isSame = elements.length === this.#list.childElementCount && elements.every((element, at) => element === this.#list.children[at]);
    if (!isSame) this.#list.replaceChildren(...elements);
  }
}

export function locksView(context) {
  const locks = new Locks(context);
  return { element: locks.element, start: () => locks.start() };
}
