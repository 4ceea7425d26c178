// The form for an import: a file, what is in it, and what is done with keys that are there already.

import { useEffect, useRef, useState } from "preact/hooks";
import { addressOf, goTo } from "../../state/route.js";
import { say } from "../../state/toasts.js";
import { FormDialog, openDialog } from "../../parts/dialog.jsx";
import { count, plural, sentence } from "../../parts/words.js";
import { importFile, lookInto } from "./importing.js";
import { runJob } from "./job.jsx";
import { wrongKey } from "./transfer.js";

const CONFLICTS = [
  ["skip", "Leave those that are there as they are"],
  ["stop", "Stop at the first that is there"],
  ["overwrite", "Overwrite those that are there"],
];

function foundText({ keys, dirs, expired, there }) {
  const parts = [plural(keys, "key"), plural(dirs, "directory", "directories")];
  if (expired) parts.push(`${count(expired)} that have expired, which are left out`);
  const already = there === null ? "" : ` ${count(there)} of the keys are there already.`;
  return `In the file: ${parts.join(", ")}.${already}`;
}

/** What a file holds, once it is chosen, and again for another directory. */
function useLook(file, into) {
  const [seen, setSeen] = useState(null);
  useEffect(() => {
    if (!file) return undefined;
    const abort = new AbortController();
    setSeen({ text: "Reading the file..." });
    const target = into === "" ? "/" : into;
    lookInto(file, target, abort.signal).then(
      (found) => {
        if (!abort.signal.aborted) setSeen({ text: foundText(found), isRead: true });
      },
      (error) => {
        if (!abort.signal.aborted) setSeen({ text: error.message, isWrong: true });
      },
    );
    return () => abort.abort();
  }, [file, into]);
  return seen;
}

function ImportForm({ close }) {
  const [file, setFile] = useState(null);
  const [into, setInto] = useState("/");
  const seen = useLook(file, into);
  const status = useRef(null);
  status.current = seen;
  const run = (form) => {
    if (!file) throw new Error("Choose a file.");
    const wrong = into === "/" ? null : wrongKey(into);
    if (wrong) throw new Error(wrong);
    if (status.current?.isWrong) throw new Error("Nothing of this file is imported.");
    if (!status.current?.isRead) throw new Error("The file is still being read.");
    return { file, into, conflict: form.elements.namedItem("conflict").value };
  };
  return (
    <FormDialog title="Import" action="Import" running="Import" run={run} close={close}>
      <label class="field">
        File with a line of JSON for each node
        <input
          type="file"
          data-first
          accept=".jsonl,.ndjson,.json,.txt"
          onChange={(event) => setFile(event.target.files[0] ?? null)}
        />
      </label>
      <label class="field">
        Into the directory
        <input
          type="text"
          class="mono"
          defaultValue="/"
          autoComplete="off"
          spellcheck={false}
          onChange={(event) => setInto(event.target.value)}
        />
        <span class="hint">With /there the key /a of the file becomes /there/a.</span>
      </label>
      <p class={seen?.isWrong ? "wrong" : ""} role="status">
        {sentence(seen?.text ?? "No file is chosen yet.")}
      </p>
      <fieldset class="choices">
        <legend>Keys that are there already</legend>
        {CONFLICTS.map(([value, text], at) => (
          <label key={value} class="choice">
            <input type="radio" name="conflict" value={value} defaultChecked={at === 0} />
            {text}
          </label>
        ))}
      </fieldset>
    </FormDialog>
  );
}

/** Has a file chosen and imports it. */
export async function openImport() {
  const given = await openDialog(ImportForm, {});
  if (!given) return;
  const said = await runJob("Importing", (update, signal) => importFile(given, update, signal));
  if (!said) return;
  say(said);
  goTo(addressOf("keys", given.into));
}
