// What a deletion takes away, kept so that it can be undone.

import { walk } from "../../server/keys.js";

/** Nodes, and letters of their values, that are kept at most. */
export const UNDONE_MAX = 1000;
const LETTERS_MAX = 4_000_000;

const TOO_MUCH = Symbol("too much");

function change(node) {
  const { nodes: _, children: __, valueBytes: ___, ...prevNode } = node;
  return { action: "delete", node: { key: node.key }, prevNode };
}

/**
 * What goes with a directory, as changes in the order in which they are undone from the last: the
 * directory before what is in it. Null if it is too much, or if it may not be read.
 */
export async function takenWith(dir) {
  const changes = [change(dir)];
  let letters = 0;
  const onPage = (nodes) => {
    for (const node of nodes) {
      changes.push(change(node));
      letters += node.value?.length ?? 0;
    }
    if (changes.length > UNDONE_MAX || letters > LETTERS_MAX) throw TOO_MUCH;
  };
  try {
    await walk(dir.key, { hidden: true, onPage });
  } catch (error) {
    if (error === TOO_MUCH || error.isRefused) return null;
    throw error;
  }
  return changes.reverse();
}
