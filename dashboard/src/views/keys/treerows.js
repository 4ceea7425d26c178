// Which rows the tree has: pieces of the listings of the directories that are open.

import { nameOf, parentOf } from "../../server/api.js";
import { hidden } from "../../state/settings.js";
import { listingOf, noteKind, opened, openDirs, treeFilter } from "./memory.js";
import { compareNames, wayTo } from "./names.js";

/** The listing of a directory as the tree shows it. */
export function treeListing(dir) {
  const { dir: filtered, text } = treeFilter.value;
  const options = { keysOnly: true, hidden: hidden.value === "yes" };
  return listingOf(dir, filtered === dir && text ? { ...options, filter: text } : options);
}

/** Nodes in a directory that may not be listed which have been opened by their names. */
function openedIn(dir) {
  const found = new Map();
  for (const [key, isDir] of opened.value) {
    const way = [...wayTo(key), key];
    const at = way.indexOf(dir);
    if (at < 0 || at === way.length - 1) continue;
    const child = way[at + 1];
    found.set(child, { key: child, dir: child === key ? isDir : true });
  }
  return [...found.values()].sort((one, other) => compareNames(nameOf(one.key), nameOf(other.key)));
}

/** Directories whose listing the rows are made of, in their order. */
function pieces() {
  const found = [];
  let start = 1;
  const put = (piece) => {
    if (piece.count > 0) found.push({ ...piece, start });
    start += piece.count;
  };
  const opens = new Map();
  for (const dir of openDirs.value) {
    if (dir === "/") continue;
    const parent = parentOf(dir);
    opens.set(parent, [...(opens.get(parent) ?? []), dir]);
  }
  const add = (dir, level) => {
    const listing = treeListing(dir);
    listing.version.value;
    const isRefused = listing.error?.isRefused;
    const nodes = isRefused ? openedIn(dir) : null;
    // Where it has gone its row has too, unless it is there again.
    const total = nodes?.length ?? (listing.gone ? null : listing.total);
    const common = { dir, level, listing, nodes, of: total };
    if (listing.error && !isRefused) {
      if (listing.error.code !== 100) put({ ...common, count: 1, isFailed: true });
      return;
    }
    if (total === null) return put({ ...common, count: 1, isWaiting: true });
    const inside = (opens.get(dir) ?? [])
      .map((key) => ({
        key,
        at: nodes ? nodes.findIndex((node) => node.key === key) : listing.position(nameOf(key)),
      }))
      .filter(({ at }) => at !== undefined && at >= 0 && at < total)
      .sort((one, other) => one.at - other.at);
    let from = 0;
    for (const { key, at } of inside) {
      put({ ...common, from, count: at + 1 - from });
      from = at + 1;
      add(key, level + 1);
    }
    put({ ...common, from, count: total - from });
  };
  if (openDirs.value.has("/")) add("/", 2);
  return { found, count: start };
}

/** The rows of the tree, of which no more is made than what is asked for. */
export class TreeRows {
  constructor() {
    const { found, count } = pieces();
    [this.pieces, this.count] = [found, count];
  }

  /** The rows from `first` to before `last`. */
  *between(first, last) {
    if (first === 0 && last > 0) yield { row: 0, key: "/", node: ROOT, level: 1, at: 0, of: 1 };
    for (const piece of this.pieces) {
      const from = Math.max(first, piece.start);
      const to = Math.min(last, piece.start + piece.count);
      for (let row = from; row < to; row += 1) yield this.#row(piece, row);
    }
  }

  #row(piece, row) {
    const { dir, level, listing, nodes, of, isWaiting, isFailed } = piece;
    if (isWaiting || isFailed) return { row, dir, level, listing, isWaiting, isFailed };
    const at = piece.from + row - piece.start;
    const node = nodes ? nodes[at] : listing.rowAt(at);
    if (node) noteKind(node.key, Boolean(node.dir));
    return { row, dir, level, node, at, of, key: node?.key };
  }

  /** Tells each listing which of its rows are in sight. */
  want(first, last) {
    const ranges = new Map();
    for (const piece of this.pieces) {
      const before = ranges.get(piece.listing);
      const from = Math.max(first, piece.start);
      const to = Math.min(last, piece.start + piece.count);
      if (from >= to) {
        if (!before) ranges.set(piece.listing, null);
        continue;
      }
      const shift = (piece.from ?? 0) - piece.start;
      const [low, high] = before ?? [Infinity, 0];
      ranges.set(piece.listing, [Math.min(low, from + shift), Math.max(high, to + shift)]);
    }
    for (const [listing, range] of ranges) {
      if (range) listing.want(...range);
      else listing.rest();
    }
  }

  /** The number of a key's row; undefined where it has none, or that is not known. */
  rowOf(key) {
    if (key === "/") return 0;
    const dir = parentOf(key);
    for (const piece of this.pieces) {
      if (piece.dir !== dir || piece.isWaiting || piece.isFailed) continue;
      const at = piece.nodes
        ? piece.nodes.findIndex((node) => node.key === key)
        : piece.listing.position(nameOf(key));
      if (at >= piece.from && at < piece.from + piece.count) return piece.start + at - piece.from;
    }
    return undefined;
  }

  /** The node of a row, which is read where it was not; null for the rows that are none. */
  async nodeOf(row) {
    if (row === 0) return ROOT;
    const piece = this.pieces.find((one) => row >= one.start && row < one.start + one.count);
    if (!piece || piece.isWaiting || piece.isFailed) return null;
    const at = piece.from + row - piece.start;
    return piece.nodes ? piece.nodes[at] : await piece.listing.fetchRow(at);
  }
}

const ROOT = { key: "/", dir: true };

/** Waits until a listing has been read. */
function isRead(listing, abort) {
  return new Promise((resolve) => {
    if (abort.aborted) return resolve();
    listing.want(0, 1);
    let end = () => {};
    const look = () => {
      if (listing.total === null && !listing.error && !abort.aborted) return;
      queueMicrotask(() => end());
      resolve();
    };
    end = listing.version.subscribe(look);
    abort.addEventListener("abort", look, { once: true });
  });
}

/** Finds where a key is in the directories on its way, which are open. */
export async function findWay(key, abort) {
  for (const dir of wayTo(key)) {
    const listing = treeListing(dir);
    await isRead(listing, abort);
    if (abort.aborted || listing.error) continue;
    const way = [...wayTo(key), key];
    const name = nameOf(way[way.indexOf(dir) + 1]);
    if (listing.position(name) !== undefined) continue;
    const at = await listing.locate(name);
    const { dir: filtered, text } = treeFilter.value;
    if (at === undefined && filtered === dir && text && !abort.aborted) {
      treeFilter.value = { dir, text: "" };
      await findWay(key, abort);
      return;
    }
  }
}
