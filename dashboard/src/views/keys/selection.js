// Which rows of a directory's table are chosen: some by name, or all but some.

import { signal } from "@preact/signals";
import { list } from "../../server/keys.js";
import { place } from "../../state/route.js";

/** Nodes that are chosen one by one at most. */
export const CHOSEN_MAX = 10_000;
const NONE = { dir: null, isAll: false, filter: "", chosen: new Map(), left: new Set() };

/**
 * `chosen` are nodes by key; with `isAll` it is all that matches `filter`, but for the keys in
 * `left`.
 */
export const selection = signal(NONE);

function inDir(dir) {
  return selection.value.dir === dir ? selection.value : { ...NONE, dir };
}

export function clearSelection() {
  selection.value = NONE;
}

export function isChosen(node) {
  const { dir, isAll, chosen, left } = selection.value;
  if (dir === null || dir !== place.value) return false;
  return isAll ? !left.has(node.key) : chosen.has(node.key);
}

/** How many are chosen, out of `matching` that there are. */
export function chosenCount(dir, matching) {
  const now = inDir(dir);
  return now.isAll ? Math.max(0, (matching ?? 0) - now.left.size) : now.chosen.size;
}

/** Chooses nodes of a directory, or leaves them out. */
export function choose(dir, nodes, isOn) {
  const now = inDir(dir);
  const [chosen, left] = [new Map(now.chosen), new Set(now.left)];
  for (const node of nodes) {
    if (now.isAll) left[isOn ? "delete" : "add"](node.key);
    else if (isOn && chosen.size < CHOSEN_MAX) chosen.set(node.key, node);
    else chosen.delete(node.key);
  }
  selection.value = { ...now, chosen, left };
}

/** Chooses all that match, or none. */
export function chooseAll(dir, filter, isOn) {
  selection.value = isOn ? { ...NONE, dir, filter, isAll: true } : NONE;
}

/** A node that has gone, or changed, is that in what is chosen as well. */
export function followSelection(events) {
  const { dir, isAll, chosen } = selection.value;
  if (dir === null || isAll || events === null) return;
  const gone = events.filter(
    ({ action, node }) => chosen.has(node.key) && /delete|expire/i.test(action),
  );
  if (gone.length)
    choose(
      dir,
      gone.map(({ node }) => node),
      false,
    );
}

/**
 * What is chosen, page by page: `for await (const nodes of chosenNodes(...))`. Pages begin behind
 * the name that the one before ended with, so that nodes may be taken away on the way.
 */
export async function* chosenNodes(selected, { hidden, signal: abort }) {
  const { isAll, dir, filter, chosen, left } = selected;
  if (!isAll) {
    yield [...chosen.values()];
    return;
  }
  let after;
  do {
    const { nodes, page } = await list(dir, {
      filter,
      hidden,
      after,
      count: true,
      preview: 0,
      signal: abort,
    });
    yield nodes.filter((node) => !left.has(node.key));
    after = page.next;
  } while (after !== undefined);
}
