// Importing lines of JSON: what `exporting.js` and `stead backup inspect --json` write, read bit by
// bit.

import { ApiError } from "../../server/api.js";
import { COMPARE_FAILED, NODE_EXISTS, NOT_A_DIR, NOT_FOUND, set, walk } from "../../server/keys.js";
import { count, plural, visible } from "../../parts/words.js";
import { isWithin } from "./names.js";
import { reasonOf } from "./job.jsx";
import { wrongKey } from "./transfer.js";

/** The longest line, in letters, as `stead import` has it. */
const LINE_MAX = 64 << 20;
/** With more keys than this in a file, it is not looked how many of them there are already. */
const LOOKED_UP_MAX = 200_000;
/** Keys that are sent at once. */
const AT_ONCE = 4;

/** The lines of a file, each with its number, without those that are empty. */
async function* linesOf(file) {
  const reader = file
    .stream()
    .pipeThrough(new TextDecoderStream("utf-8", { fatal: true }))
    .getReader();
  let [rest, number] = ["", 0];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      const lines = (rest + (value ?? "")).split("\n");
      rest = done ? "" : lines.pop();
      if (rest.length > LINE_MAX) throw new Error(`Line ${number + 1} is too long.`);
      for (const line of lines) {
        number += 1;
        if (line.trim()) yield { line, number };
      }
      if (done) return;
    }
  } catch (error) {
    throw error instanceof TypeError ? new Error("The file is not UTF-8 text.") : error;
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** The node that a line describes: `{ key, value | dir, ttl, hasExpired }`. */
export function nodeOf(line, now = Date.now()) {
  let node;
  try {
    node = JSON.parse(line);
  } catch {
    throw new Error("it is not JSON");
  }
  if (typeof node?.key !== "string") throw new Error("it has no key");
  if (wrongKey(node.key)) throw new Error("its key is none that a node can have");
  const isDir = node.dir === true;
  if (isDir === (typeof node.value === "string")) {
    throw new Error('it has neither a value nor "dir": true, or both');
  }
  const until = node.expiration ? Date.parse(node.expiration) : NaN;
  if (node.expiration && Number.isNaN(until)) throw new Error("its expiration is not a time");
  const isTtl =
    node.ttl === undefined || node.ttl === null || (Number.isSafeInteger(node.ttl) && node.ttl > 0);
  if (!node.expiration && !isTtl) throw new Error("its ttl is not a whole number above 0");
  const ttl = node.expiration ? Math.ceil((until - now) / 1000) : (node.ttl ?? undefined);
  return { key: node.key, dir: isDir, value: node.value, ttl, hasExpired: ttl <= 0 };
}

/** The nodes of a file, with the numbers of their lines. */
async function* nodesOf(file) {
  for await (const { line, number } of linesOf(file)) {
    let node;
    try {
      node = nodeOf(line);
    } catch (error) {
      throw new Error(`Line ${number}: ${error.message}.`);
    }
    yield { ...node, number };
  }
}

/** Where a key of a file comes to be. */
function placed(into, key) {
  return into === "/" ? key : into + key;
}

/** The directory that two keys have in common. */
function commonDir(one, key) {
  if (one === null) return key.slice(0, key.lastIndexOf("/")) || "/";
  let dir = one;
  while (!isWithin(key, dir) || dir === key) dir = dir.slice(0, dir.lastIndexOf("/")) || "/";
  return dir;
}

/** How many of these keys there are already, in a directory that may not be there. */
async function countThere(keys, dir, signal) {
  let there = 0;
  const onPage = (nodes) => {
    for (const { key } of nodes) if (keys.has(key)) there += 1;
  };
  try {
    await walk(dir, { signal, hidden: true, keysOnly: true, limit: 1000, onPage });
  } catch (error) {
    if (error instanceof ApiError && (error.code === NOT_FOUND || error.code === NOT_A_DIR))
      return 0;
    throw error;
  }
  return there;
}

/**
 * Reads a file without changing anything: `{ keys, dirs, expired, there }`; `there` is how many of
 * its keys there are already below `into`, null where that was not looked up.
 */
export async function lookInto(file, into, signal) {
  const found = { keys: 0, dirs: 0, expired: 0, there: null };
  const keys = new Set();
  let dir = null;
  for await (const node of nodesOf(file)) {
    signal.throwIfAborted();
    if (node.hasExpired) found.expired += 1;
    else if (node.dir) found.dirs += 1;
    else {
      found.keys += 1;
      dir = commonDir(dir, placed(into, node.key));
      if (keys.size <= LOOKED_UP_MAX) keys.add(placed(into, node.key));
    }
  }
  if (keys.size <= LOOKED_UP_MAX) found.there = keys.size ? await countThere(keys, dir, signal) : 0;
  return found;
}

class Import {
  made = 0;
  there = 0;
  #conflict;
  #into;

  constructor({ conflict, into }) {
    [this.#conflict, this.#into] = [conflict, into];
  }

  said() {
    const done = this.#conflict === "overwrite" ? "written" : "made";
    return `${plural(this.made, "node")} ${done}, ${count(this.there)} left as they were`;
  }

  async send({ key, dir, value, ttl, number }) {
    const to = placed(this.#into, key);
    const isOver = this.#conflict === "overwrite" && !dir;
    const form = { ttl, prevExist: isOver ? undefined : "false" };
    try {
      await set(to, dir ? { ...form, dir: "true" } : { ...form, value });
      this.made += 1;
    } catch (error) {
      const isThere = error.code === NODE_EXISTS || error.code === COMPARE_FAILED;
      if (!isThere || (this.#conflict === "stop" && !dir)) {
        throw new Error(`Line ${number}, ${visible(to)}: ${error.message}.`);
      }
      this.there += 1;
    }
  }
}

/** Makes the nodes of a file. `conflict` is "skip", "stop" or "overwrite". */
export async function importFile({ file, into, conflict }, update, signal) {
  const work = new Import({ conflict, into });
  let sent = [];
  const settle = async () => {
    const ends = await Promise.allSettled(sent);
    sent = [];
    const failed = ends.find((one) => one.status === "rejected");
    if (failed) throw failed.reason;
  };
  try {
    for await (const node of nodesOf(file)) {
      signal.throwIfAborted();
      if (node.hasExpired) continue;
      // A directory is there before what is in it, with its TTL.
      if (node.dir || sent.length >= (conflict === "stop" ? 1 : AT_ONCE)) await settle();
      sent.push(work.send(node));
      if (node.dir) await settle();
      update(`${work.said()}.`);
    }
    await settle();
  } catch (error) {
    await Promise.allSettled(sent);
    throw new Error(`${reasonOf(error, signal)} By then: ${work.said()}.`);
  }
  return `Imported: ${work.said()}.`;
}
