// The forms for moving, renaming and copying.

import { nameOf } from "../../server/api.js";
import { addressOf, goTo } from "../../state/route.js";
import { say } from "../../state/toasts.js";
import { FormDialog, openDialog } from "../../parts/dialog.jsx";
import { visible } from "../../parts/words.js";
import { runJob } from "./job.jsx";
import { chosenNodes, clearSelection, selection } from "./selection.js";
import { inside, transfer, wrongKey, wrongTarget } from "./transfer.js";

function PathForm({ title, action, label, hint, first, wrongOf, close }) {
  const run = (form) => {
    const to = form.elements.namedItem("to").value;
    const wrong = wrongOf(to);
    if (wrong) throw new Error(wrong);
    return to;
  };
  return (
    <FormDialog title={title} action={action} running={action} run={run} close={close}>
      <label class="field">
        {label}
        <input
          type="text"
          name="to"
          class="mono"
          data-first
          defaultValue={first}
          autoComplete="off"
          spellcheck={false}
        />
        <span class="hint">{hint}</span>
      </label>
    </FormDialog>
  );
}

const KEPT = "Nothing is overwritten: what is there already ends it.";

/** Moves or copies one node, and goes to where it then is. */
export async function transferOne(key, isMove) {
  const to = await openDialog(PathForm, {
    title: `${isMove ? "Move or rename" : "Copy"} ${visible(key)}`,
    action: isMove ? "Move" : "Copy",
    label: "New path",
    hint: KEPT,
    first: isMove ? key : `${key}-copy`,
    wrongOf: (path) => wrongTarget(key, path),
  });
  if (!to) return;
  const work = { pages: [[{ key }]], targetOf: () => to, isMove };
  const said = await runJob(isMove ? "Moving" : "Copying", (...args) => transfer(work, ...args));
  if (!said) return;
  say(`${visible(nameOf(key))} is ${isMove ? "now" : "also"} ${visible(to)}: ${said}`);
  goTo(addressOf("keys", to));
}

/** Moves or copies what is chosen in a table to another directory. */
export async function transferChosen(dir, isMove, hidden) {
  const chosen = selection.value;
  const to = await openDialog(PathForm, {
    title: `${isMove ? "Move" : "Copy"} what is selected in ${visible(dir)}`,
    action: isMove ? "Move" : "Copy",
    label: "Into the directory",
    first: dir,
    hint: `It is made if it is not there. ${KEPT}`,
    wrongOf(path) {
      if (path === dir) return "This is where they are already.";
      return path === "/" ? null : wrongKey(path);
    },
  });
  if (!to) return;
  const run = (update, signal) =>
    transfer(
      { pages: chosenNodes(chosen, { hidden, signal }), targetOf: inside(to), isMove },
      update,
      signal,
    );
  const said = await runJob(isMove ? "Moving" : "Copying", run);
  if (!said) return;
  clearSelection();
  say(said);
  goTo(addressOf("keys", to));
}
