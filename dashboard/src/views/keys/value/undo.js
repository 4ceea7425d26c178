// Undo, right after a change: by conditions, so that nothing newer is lost.

import { COMPARE_FAILED, NODE_EXISTS, NOT_FOUND, remove, set } from "../../../server/keys.js";
import { say } from "../../../state/toasts.js";
import { plural, visible } from "../../../parts/words.js";

/** Keys that are named at most. */
const LISTED = 3;
const NEWER = new Set([COMPARE_FAILED, NODE_EXISTS, NOT_FOUND]);

/** What is left of a node's time to live, in whole seconds; undefined if it had none. */
function ttlLeft(node) {
  if (node.expiration === undefined) return undefined;
  return Math.max(1, Math.round((Date.parse(node.expiration) - Date.now()) / 1000));
}

/** Takes one change back. */
async function takeBack({ node, prevNode }) {
  const isGone = node.value === undefined && !node.dir;
  if (prevNode?.dir || (isGone && !prevNode)) {
    return set(node.key, { dir: "true", ttl: prevNode && ttlLeft(prevNode), prevExist: "false" });
  }
  if (!prevNode) {
    return node.dir
      ? remove(node.key, { dir: true })
      : remove(node.key, { prevIndex: node.modifiedIndex });
  }
  const condition = isGone ? { prevExist: "false" } : { prevIndex: node.modifiedIndex };
  return set(node.key, { value: prevNode.value ?? "", ttl: ttlLeft(prevNode), ...condition });
}

async function takeAllBack(changes) {
  const newer = [];
  for (const change of [...changes].reverse()) {
    try {
      await takeBack(change);
    } catch (error) {
      if (!NEWER.has(error.code)) throw error;
      newer.push(change.node.key);
    }
  }
  const done = changes.length - newer.length;
  if (newer.length === 0) {
    return say(done === 1 ? `${visible(changes[0].node.key)}: undone.` : `${done} changes undone.`);
  }
  const more = newer.length > LISTED ? ` and ${newer.length - LISTED} more` : "";
  const names = newer.slice(0, LISTED).map(visible).join(", ") + more;
  const left = `Changed again since, and left as it is: ${names}.`;
  say(`${plural(done, "change")} undone. ${left}`, "error");
}

/**
 * Says what was done, and offers to undo it. `changes` are events as the server answered them, in
 * their order, each with its `prevNode` where there was one. A key that has changed since is left.
 */
export function offerUndo(changes, text) {
  say(text, "info", { label: "Undo", run: () => takeAllBack(changes) });
}
