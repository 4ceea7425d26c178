// The key space: pages of listings, and changes of single keys.

import { ApiError, call, callAt, keyPath } from "./api.js";

/** The API's codes of errors that have a meaning here. */
export const NOT_FOUND = 100;
export const COMPARE_FAILED = 101;
export const NOT_A_FILE = 102;
export const NOT_A_DIR = 104;
export const NODE_EXISTS = 105;
export const DIR_NOT_EMPTY = 108;

/** Bytes of a value that a table shows. */
export const PREVIEW = 256;

function query(given) {
  const words = Object.entries(given)
    .filter(([, value]) => value !== undefined && value !== false && value !== "")
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return words.length ? `?${words.join("&")}` : "";
}

/**
 * A page of the children of a directory: `{ index, node, nodes, page }`; `node` is the directory
 * itself, `page` as the server says it (`children`, `below`, `matching`, `next`).
 */
export async function list(dir, options = {}) {
  const { signal, headers, ...rest } = options;
  const given = { limit: 200, preview: PREVIEW, sorted: true, ...rest };
  const { index, body } = await callAt(keyPath(dir) + query(given), { signal, headers });
  if (!body.node.dir) {
    throw new ApiError(400, JSON.stringify({ errorCode: NOT_A_DIR, message: "Not a directory" }));
  }
  const { nodes = [], ...node } = body.node;
  return { index, node, nodes, page: body.page ?? {} };
}

/** A node with its whole value: `{ index, node }`. */
export async function read(key, { signal, hidden, quorum } = {}) {
  const given = query({ hidden, quorum, limit: 1 });
  const { index, body } = await callAt(keyPath(key) + given, { signal });
  return { index, node: body.node };
}

/** Sets a key. `form` has value, ttl, prevIndex, prevExist and so on. Gives the event. */
export async function set(key, form) {
  return call(keyPath(key), { method: "PUT", form });
}

/** Deletes a node. `given` has prevIndex, recursive, dir. Gives the event. */
export async function remove(key, given = {}) {
  return call(keyPath(key) + query(given), { method: "DELETE" });
}

/** Letters of values in one page of a walk that are enough, and those that are few. */
const MANY = 4_000_000;
const FEW = 500_000;

/** The nodes of a recursive page in their order; not those that only lead to the first of them. */
function unfolded(nodes, isOnTheWay) {
  const found = [];
  const rest = [...nodes].reverse();
  while (rest.length) {
    const { nodes: below, ...node } = rest.pop();
    if (!isOnTheWay(node)) found.push(node);
    if (below) rest.push(...[...below].reverse());
  }
  return found;
}

/**
 * All nodes below a directory, page by page, depth first: `onPage(nodes)`. Pages are as long as the
 * values in them let them be, from `limit` nodes.
 */
export async function walk(dir, options) {
  const { signal, hidden, preview, keysOnly, onPage, limit = 100 } = options;
  const base = dir === "/" ? "/" : `${dir}/`;
  let [after, size] = [undefined, limit];
  do {
    const flags = { recursive: true, sorted: true, hidden, preview, keysOnly };
    const given = query({ ...flags, limit: size, after });
    const { body } = await callAt(keyPath(dir) + given, { signal });
    const last = after;
    const isOnTheWay = ({ key }) => last !== undefined && `${base}${last}`.startsWith(`${key}/`);
    const found = unfolded(body.node.nodes ?? [], isOnTheWay);
    await onPage(found);
    const letters = found.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
    if (letters > MANY) size = Math.max(10, Math.floor(size / 4));
    else if (letters < FEW) size = Math.min(1000, size * 2);
    after = body.page?.next;
  } while (after !== undefined);
}
