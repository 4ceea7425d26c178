// Copying and moving nodes: nothing is overwritten, and nothing is taken away that has changed.

import { nameOf } from "../../server/api.js";
import { read, remove, set, walk } from "../../server/keys.js";
import { count, plural, visible } from "../../parts/words.js";
import { isWithin, secondsLeft } from "./names.js";
import { reasonOf } from "./job.jsx";

/** What is wrong with a key that somebody typed; null if nothing is. */
export function wrongKey(key) {
  const names = key.split("/").slice(1);
  if (!key.startsWith("/")) return "Enter a path that begins with /.";
  if (names.some((name) => name === "" || name === "." || name === "..")) {
    return "Enter a path whose names are not empty, such as /a/b.";
  }
  return null;
}

/** Why a node cannot be put at a place; null if it can be. */
export function wrongTarget(from, to) {
  const wrong = wrongKey(to);
  if (wrong) return wrong;
  if (to === from) return "This is where it is already.";
  return isWithin(to, from) ? `${visible(to)} is inside ${visible(from)}.` : null;
}

class Transfer {
  copied = 0;
  removed = 0;
  /** What is being done, for what is said if it fails. */
  at = "";

  constructor(isMove, update, abort) {
    this.isMove = isMove;
    this.update = update;
    this.abort = abort;
  }

  said() {
    const words = [`${plural(this.copied, "node")} copied`];
    if (this.isMove) words.push(`${count(this.removed)} taken away where they were`);
    return words.join(", ");
  }

  async #put(node, to) {
    this.abort.throwIfAborted();
    this.at = node.key;
    const form = { ttl: secondsLeft(node), prevExist: "false" };
    await set(to, node.dir ? { ...form, dir: "true" } : { ...form, value: node.value });
    this.copied += 1;
    if (this.isMove && !node.dir) {
      await remove(node.key, { prevIndex: node.modifiedIndex });
      this.removed += 1;
    }
    this.update(`${this.said()}.`);
  }

  /** Copies or moves a node with all that is below it. */
  async one(key, to) {
    this.at = key;
    const { node } = await read(key, { signal: this.abort, hidden: true });
    await this.#put({ ...node, key }, to);
    if (!node.dir) return;
    const dirs = [key];
    await walk(key, {
      signal: this.abort,
      hidden: true,
      onPage: async (nodes) => {
        for (const below of nodes) {
          if (below.dir) dirs.push(below.key);
          await this.#put(below, to + below.key.slice(key.length));
        }
      },
    });
    if (!this.isMove) return;
    for (const dir of dirs.reverse()) {
      this.at = dir;
      await remove(dir, { dir: true });
      this.removed += 1;
    }
  }
}

/**
 * Copies or moves the nodes of `pages` (arrays of `{ key }`) to where `targetOf(key)` says. Throws
 * an error that says what was done by then.
 */
export async function transfer({ pages, targetOf, isMove }, update, abort) {
  const work = new Transfer(isMove, update, abort);
  try {
    for await (const nodes of pages) {
      for (const { key } of nodes) {
        const wrong = wrongTarget(key, targetOf(key));
        work.at = key;
        if (wrong) throw new Error(wrong);
        await work.one(key, targetOf(key));
      }
    }
  } catch (error) {
    const where = work.at && !abort.aborted ? ` It ended at ${visible(work.at)}.` : "";
    throw new Error(`${reasonOf(error, abort)}${where} By then: ${work.said()}.`);
  }
  return `${work.said()}.`;
}

/** Where a node comes to be in another directory. */
export function inside(dir) {
  return (key) => (dir === "/" ? `/${nameOf(key)}` : `${dir}/${nameOf(key)}`);
}
