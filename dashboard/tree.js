// The tree of keys. Directories are asked for when they are opened, and only the rows in sight are
// in the page, so that a directory of 100,000 keys is no heavier than one of ten.

import { call, keyPath, nameOf, parentOf } from "./api.js";
import { count, h, sayError, visible } from "./dom.js";

const ROW = 28;
const AROUND = 10;
/** How far a level is moved in, in pixels. */
const INDENT = 14;
/** Browsers bound how high an element may be. */
const HEIGHT_MAX = 8_000_000;

/** Whether two listings are drawn alike. */
function isAlike(one, other) {
  const seen = ({ key, dir, ttl }, node) => key === node.key && dir === node.dir && (ttl === undefined) === (node.ttl === undefined);
  return one.length === other?.length && one.every((node, at) => seen(node, other[at]));
}

export class Tree {
  #dirs = new Map();
  #open = new Set(["/"]);
  #rows = [];
  #selected = "/";
  #onSelect;
  /** Stands for the key that is being revealed. */
  #aim = null;
  /** Directories that may not be listed, with the errors that say so. */
  #refused = new Map();
  /** What is known to be in these. */
  #known = new Map();
  #spacer = h("div", { class: "tree-space" });
  #status = h("p", { class: "note", role: "status" });
  #box = h("div", { class: "tree", role: "tree", tabindex: "0", "aria-label": "Keys", id: "tree" }, this.#spacer);
  hidden = false;
  /** Is called with the error of a directory that may not be listed, null if there is none. */
  onUnlisted = () => {};

  constructor(onSelect) {
    this.#onSelect = onSelect;
    this.element = h("div", { class: "tree-box" }, this.#box, this.#status);
    this.#box.addEventListener("scroll", () => this.#draw());
    this.#box.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.#draw()).observe(this.#box);
  }

  /** Forgets what was read, and reads the open directories again. */
  async refresh() {
    this.#dirs.clear();
    await Promise.all([...this.#open].map((dir) => this.#load(dir)));
    this.#flatten();
  }

  /** Reads one directory again. */
  async reload(dir) {
    await this.#load(dir);
    this.#flatten();
  }

  /** Reads open directories again by itself: those with at most `most` nodes that may be listed. */
  async renew(most) {
    let hasChanged = false;
    for (const dir of this.#open) {
      const before = this.#dirs.get(dir);
      if (!before || before.length > most || this.#refused.has(dir)) continue;
      await this.#load(dir, true);
      hasChanged ||= !isAlike(before, this.#dirs.get(dir));
    }
    // A click is lost where the row under it is drawn anew.
    if (hasChanged) this.#flatten();
  }

  /** Opens the way to a key and selects it, unless another was wanted in the meantime. */
  async reveal(key) {
    const aim = {};
    this.#aim = aim;
    const way = [];
    for (let dir = parentOf(key); ; dir = parentOf(dir)) {
      way.unshift(dir);
      if (dir === "/") break;
    }
    for (const [at, dir] of way.entries()) {
      this.#open.add(dir);
      const next = way[at + 1] ?? key;
      const isKnown = next === "/" || this.#dirs.get(dir)?.some((node) => node.key === next);
      // What was read may be older than the key.
      if (!this.#dirs.has(dir) || !(isKnown || this.#refused.has(dir))) await this.#load(dir);
    }
    if (way.some((dir) => this.#refused.has(dir))) await this.#learn(way, key);
    this.#flatten();
    if (this.#aim === aim) this.select(key);
  }

  /** Puts a key that may be read below directories on its way that may not. */
  async #learn(way, key) {
    if (key === "/") return;
    let node;
    try {
      ({ node } = await call(keyPath(key)));
    } catch {
      // It is not shown in the tree; why, is said beside it.
      return;
    }
    for (const [at, dir] of way.entries()) {
      if (!this.#refused.has(dir)) continue;
      const child = at + 1 < way.length ? { key: way[at + 1], dir: true } : { key, dir: node.dir };
      if (!this.#known.has(dir)) this.#known.set(dir, new Map());
      this.#known.get(dir).set(child.key, child);
      this.#dirs.set(dir, this.#knownIn(dir));
    }
  }

  #knownIn(dir) {
    const names = (one, other) => (one.key < other.key ? -1 : 1);
    return [...(this.#known.get(dir)?.values() ?? [])].sort(names);
  }

  select(key, byStep = false) {
    this.#aim = null;
    this.#selected = key;
    const at = this.#rows.findIndex((row) => row.key === key);
    if (at >= 0) {
      const top = this.#offset(at);
      if (top < this.#box.scrollTop) this.#box.scrollTop = top;
      else if (top + ROW > this.#box.scrollTop + this.#box.clientHeight) this.#box.scrollTop = top + ROW - this.#box.clientHeight;
    }
    this.#draw();
    this.#onSelect(key, byStep);
  }

  async #load(dir, isQuiet = false) {
    try {
      const hidden = this.hidden ? "&hidden=true" : "";
      const node = (await call(`${keyPath(dir === "/" ? "/" : dir)}?sorted=true${hidden}`)).node;
      this.#dirs.set(dir, node.nodes ?? []);
      this.#refused.delete(dir);
    } catch (error) {
      if (error.isRefused) {
        this.#refused.set(dir, error);
        this.#dirs.set(dir, this.#knownIn(dir));
        return;
      }
      // Nobody answered, of which the page tells by itself.
      if (isQuiet && error.code !== 100) return;
      this.#open.delete(dir);
      this.#dirs.delete(dir);
      if (error.code !== 100) sayError(error);
    }
  }

  #flatten() {
    const rows = [{ key: "/", node: { key: "/", dir: true }, level: 1, at: 1, of: 1 }];
    const levels = [{ nodes: this.#open.has("/") ? this.#dirs.get("/") ?? [] : [], next: 0 }];
    while (levels.length) {
      const level = levels.at(-1);
      if (level.next === level.nodes.length) {
        levels.pop();
        continue;
      }
      const node = level.nodes[level.next];
      level.next += 1;
      rows.push({ key: node.key, node, level: levels.length + 1, at: level.next, of: level.nodes.length });
      if (node.dir && this.#open.has(node.key)) levels.push({ nodes: this.#dirs.get(node.key) ?? [], next: 0 });
    }
    this.#rows = rows;
    this.#spacer.style.height = `${Math.min(HEIGHT_MAX, rows.length * ROW)}px`;
    this.#status.textContent = `Nodes in open directories: ${count(rows.length - 1)}`;
    this.onUnlisted(this.#refused.values().next().value ?? null);
    this.#draw();
  }

  /** How far from the top a row is; beyond the bound rows share their pixels. */
  #offset(at) {
    const height = this.#rows.length * ROW;
    return height <= HEIGHT_MAX ? at * ROW : (at * (HEIGHT_MAX - ROW)) / (this.#rows.length - 1);
  }

  #draw() {
    const height = this.#rows.length * ROW;
    const scale = height <= HEIGHT_MAX ? 1 : height / HEIGHT_MAX;
    const first = Math.max(0, Math.floor((this.#box.scrollTop * scale) / ROW) - AROUND);
    const last = Math.min(this.#rows.length, first + Math.ceil(this.#box.clientHeight / ROW) + 2 * AROUND);
    const elements = [];
    for (let at = first; at < last; at += 1) elements.push(this.#row(this.#rows[at], at, first));
    this.#spacer.replaceChildren(...elements);
    const selected = elements.find((element) => element.getAttribute("aria-selected") === "true");
    if (selected) this.#box.setAttribute("aria-activedescendant", selected.id);
    else this.#box.removeAttribute("aria-activedescendant");
  }

  #row(row, at, first) {
    const { node } = row;
    const isOpen = this.#open.has(row.key);
    const mark = node.dir ? (isOpen ? "\u25be" : "\u25b8") : "\u00b7";
    const element = h("div", {
      class: "row", role: "treeitem", id: `row-${at}`,
      "aria-level": row.level, "aria-posinset": row.at, "aria-setsize": row.of,
      "aria-expanded": node.dir ? String(isOpen) : null, "aria-selected": String(row.key === this.#selected),
      onclick: () => this.#click(row),
    }, h("span", { class: "mark", "aria-hidden": "true" }, mark), h("span", { class: "name" }, row.key === "/" ? "/" : visible(nameOf(row.key))),
      node.ttl !== undefined && h("span", { class: "tag" }, "ttl"));
    element.style.paddingLeft = `${8 + INDENT * (row.level - 1)}px`;
    element.style.top = `${this.#offset(first) + (at - first) * ROW}px`;
    return element;
  }

  #click(row) {
    const wasSelected = row.key === this.#selected;
    this.select(row.key);
    if (row.node.dir && (!this.#open.has(row.key) || wasSelected)) this.toggle(row.key);
  }

  async toggle(dir, open = !this.#open.has(dir)) {
    if (open) {
      this.#open.add(dir);
      await this.#load(dir);
    } else {
      this.#open.delete(dir);
    }
    this.#flatten();
  }

  #key(event) {
    const at = this.#rows.findIndex((row) => row.key === this.#selected);
    const row = this.#rows[at];
    const page = Math.max(1, Math.floor(this.#box.clientHeight / ROW) - 1);
    const go = (to) => this.select(this.#rows[Math.max(0, Math.min(this.#rows.length - 1, to))].key, true);
    const actions = {
      ArrowDown: () => go(at + 1),
      ArrowUp: () => go(at - 1),
      PageDown: () => go(at + page),
      PageUp: () => go(at - page),
      Home: () => go(0),
      End: () => go(this.#rows.length - 1),
      ArrowRight: () => {
        if (!row?.node.dir) return;
        if (this.#open.has(row.key)) go(at + 1);
        else this.toggle(row.key, true);
      },
      ArrowLeft: () => {
        if (row?.node.dir && this.#open.has(row.key)) this.toggle(row.key, false);
        else if (row) this.select(parentOf(row.key), true);
      },
      Enter: () => row?.node.dir && this.toggle(row.key),
      " ": () => row?.node.dir && this.toggle(row.key),
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  }
}
