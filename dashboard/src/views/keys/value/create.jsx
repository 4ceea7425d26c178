// The forms that make keys and directories.

import { useId, useState } from "preact/hooks";
import { call, childOf, keyPath } from "../../../server/api.js";
import { set } from "../../../server/keys.js";
import { addressOf, goTo } from "../../../state/route.js";
import { FormDialog, openDialog } from "../../../parts/dialog.jsx";
import { visible } from "../../../parts/words.js";
import { offerUndo } from "./undo.js";

export const TTL_WRONG = "Enter the TTL as whole seconds, at least 1, or leave it empty.";

/** A field whose hint is no part of its name. */
function Field({ label, hint, children }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, "aria-describedby": hint ? `${id}-hint` : undefined })}
      {hint && (
        <span class="hint" id={`${id}-hint`}>
          {hint}
        </span>
      )}
    </div>
  );
}

/** The field of a time to live. */
export function TtlField({ ttl, label = "TTL in seconds", hint, onInput }) {
  return (
    <Field label={label} hint={hint}>
      {(field) => (
        <input
          {...field}
          name="ttl"
          type="number"
          min="1"
          max="9000000000"
          step="1"
          defaultValue={ttl ?? ""}
          placeholder="never expires"
          data-wrong={TTL_WRONG}
          onInput={onInput}
        />
      )}
    </Field>
  );
}

/** Throws where a name cannot be one. */
function checked(name) {
  if (name.split("/").some((part) => !part || part === "." || part === "..")) {
    throw new Error("Enter a name, such as a or a/b.");
  }
  return name;
}

async function make(dir, kind, fields) {
  const ttl = fields.ttl.value || undefined;
  if (kind === "directory")
    return set(childOf(dir, checked(fields.name.value)), { dir: "true", ttl, prevExist: "false" });
  const value = fields.value.value;
  if (fields.inOrder.checked) return call(keyPath(dir), { method: "POST", form: { value, ttl } });
  return set(childOf(dir, checked(fields.name.value)), { value, ttl, prevExist: "false" });
}

function Create({ dir, kind, close }) {
  const [isInOrder, setInOrder] = useState(kind === "inOrder");
  const isDir = kind === "directory";
  const run = async (form) => {
    const event = await make(dir, kind, form.elements);
    offerUndo([event], `${visible(event.node.key)} was created.`);
    return event.node.key;
  };
  return (
    <FormDialog
      title={isDir ? "New directory" : "New key"}
      action="Create"
      running="Creating..."
      kind={isDir ? "" : "wide"}
      run={run}
      close={close}
    >
      <Field
        label={`Name in ${visible(dir)}`}
        hint={!isDir && "With slashes, directories are made as well."}
      >
        {(field) => (
          <input
            {...field}
            name="name"
            type="text"
            data-first
            autoComplete="off"
            autocapitalize="none"
            spellcheck={false}
            disabled={isInOrder}
          />
        )}
      </Field>
      {!isDir && (
        <label class="choice">
          <input
            name="inOrder"
            type="checkbox"
            checked={isInOrder}
            onChange={(event) => setInOrder(event.target.checked)}
          />
          In-order key: the server assigns the next number as its name
        </label>
      )}
      {!isDir && (
        <label class="field">
          Value
          <textarea name="value" rows={10} class="mono" spellcheck={false} />
        </label>
      )}
      <TtlField />
    </FormDialog>
  );
}

/** Has a node made in `dir`, and goes there. `kind`: "key", "directory" or "inOrder". */
export async function openCreate({ dir, kind }) {
  const key = await openDialog(Create, { dir, kind });
  if (typeof key === "string") goTo(addressOf("keys", key));
}
