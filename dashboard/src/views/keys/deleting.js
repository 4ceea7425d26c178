// Deleting: asks with the number of all that goes, and says what was left.

import { nameOf, parentOf } from "../../server/api.js";
import { COMPARE_FAILED, list, NOT_FOUND, remove } from "../../server/keys.js";
import { addressOf, goTo, place } from "../../state/route.js";
import { say } from "../../state/toasts.js";
import { confirmed } from "../../parts/dialog.jsx";
import { count, plural, visible } from "../../parts/words.js";
import { reasonOf, runJob } from "./job.jsx";
import { chosenNodes, clearSelection, selection } from "./selection.js";
import { takenWith, UNDONE_MAX } from "./taken.js";
import { offerUndo } from "./value/undo.js";

/** A directory, and how much is below it, hidden nodes too; null if that is not known. */
async function look(dir) {
  const given = { limit: 1, keysOnly: true, count: true, hidden: true };
  const { node, page } = await list(dir, given);
  return { node: { ...node, key: dir }, below: page.below ?? null };
}

/** Deletes a directory after asking, and goes to the one that it was in. */
export async function deleteDirectory(dir) {
  const { node, below } = await look(dir);
  const title = `Delete ${visible(dir)}?`;
  const isEmpty = below === 0;
  const nodes = below === null ? "" : `: ${plural(below, "node")}`;
  const question = isEmpty
    ? { title, text: "The directory is empty.", action: "Delete" }
    : {
        title,
        text: `Everything below ${visible(dir)} is deleted as well${nodes}.`,
        action: "Delete everything",
        typed: nameOf(dir),
      };
  if (!(await confirmed(question))) return;
  const taken = below < UNDONE_MAX ? await takenWith(node) : null;
  await remove(dir, isEmpty ? { dir: true } : { recursive: true });
  if (place.value === dir) goTo(addressOf("keys", parentOf(dir)));
  const text = `${visible(dir)} was deleted.`;
  if (taken) offerUndo(taken, text);
  else say(`${text} It held too much for an undo.`);
}

async function countChosen(chosen, hidden) {
  const all = { keys: 0, dirs: 0, below: 0 };
  for await (const nodes of chosenNodes(chosen, { hidden })) {
    for (const node of nodes) {
      if (node.dir) {
        all.dirs += 1;
        all.below += (await look(node.key)).below ?? 0;
      } else all.keys += 1;
    }
  }
  return all;
}

function question({ keys, dirs, below }, dir) {
  const parts = [
    keys && plural(keys, "key"),
    dirs && plural(dirs, "directory", "directories"),
  ].filter(Boolean);
  const whole = keys + dirs + below;
  const text = below
    ? `Everything below is deleted as well: ${plural(whole, "node")} in all.`
    : "Keys that change in the meantime are left.";
  return {
    title: `Delete ${parts.join(" and ")} in ${visible(dir)}?`,
    text,
    action: below ? "Delete everything" : "Delete",
    typed: below ? String(whole) : undefined,
  };
}

/** Deletes a node, and keeps what it takes away while all of that can be undone. */
async function deleteNode(node, done) {
  try {
    const taken = node.dir && done.taken ? await takenWith(node) : null;
    const given = node.dir ? { recursive: true } : { prevIndex: node.modifiedIndex };
    const event = await remove(node.key, given);
    done.deleted += 1;
    if (node.dir && !taken) done.taken = null;
    done.taken?.push(...(taken ?? [event]));
    if (done.taken?.length > UNDONE_MAX) done.taken = null;
  } catch (error) {
    if (error.code === COMPARE_FAILED) done.left += 1;
    else if (error.code !== NOT_FOUND) throw error;
  }
}

/** Deletes what is chosen in a table, after asking. */
export async function deleteChosen(dir, hidden) {
  const chosen = selection.value;
  const all = await countChosen(chosen, hidden);
  const whole = all.keys + all.dirs;
  if (whole === 0 || !(await confirmed(question(all, dir)))) return;
  const tooMuch = whole + all.below > UNDONE_MAX;
  const done = { deleted: 0, left: 0, taken: tooMuch ? null : [] };
  const said = () =>
    `${count(done.deleted)} of ${count(whole)} were deleted` +
    `${done.left ? `, ${count(done.left)} had changed and were left` : ""}.`;
  const isDone = await runJob("Deleting", async (update, signal) => {
    try {
      for await (const nodes of chosenNodes(chosen, { hidden, signal })) {
        for (const node of nodes) {
          signal.throwIfAborted();
          await deleteNode(node, done);
          update(said());
        }
      }
    } catch (error) {
      throw new Error(`${reasonOf(error, signal)} ${said()}`);
    }
    return true;
  });
  clearSelection();
  if (done.taken?.length) offerUndo(done.taken, said());
  else if (isDone) say(said());
}
