// Editing a value: nothing that was typed is lost, and nothing that somebody else wrote.

import { useEffect, useRef, useState } from "preact/hooks";
import { COMPARE_FAILED, NOT_FOUND, read, set } from "../../../server/keys.js";
import { guard } from "../../../state/leaving.js";
import { Button } from "../../../parts/button.jsx";
import { Code } from "../../../parts/code.jsx";
import { mayDiscard } from "../../../parts/dialog.jsx";
import { Time } from "../../../parts/time.jsx";
import { visible } from "../../../parts/words.js";
import { mayCreateAgain, openConflict, openReview } from "./conflict.jsx";
import { TTL_WRONG, TtlField } from "./create.jsx";
import { draftOf, forgetDraft, keepDraft } from "./drafts.js";
import { jsonFault, kindOf } from "./formats.js";
import { offerUndo } from "./undo.js";

const DRAFT_MS = 400;
/** Files that are larger than a value may be are not even read. */
const FILE_MAX = 16_000_000;

async function textOf(file) {
  if (file.size > FILE_MAX) throw new Error(`${file.name} is too large.`);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
      await file.arrayBuffer(),
    );
  } catch {
    throw new Error(
      `${file.name} is not UTF-8. A value is a text: encode it first, for example in base64.`,
    );
  }
}

/** One save: `{ base, text, ttl }`. Gives the event, or "theirs", or null to go on editing. */
async function send({ base, text, ttl, onBase }) {
  const form = { value: text, ttl: ttl || undefined };
  try {
    return await set(base.key, { ...form, prevIndex: base.modifiedIndex });
  } catch (error) {
    if (error.code === COMPARE_FAILED) {
      const { node } = await read(base.key, { hidden: true });
      const now = { ...node, key: base.key };
      const choice = await openConflict({ base, now, mine: text, said: error.message });
      if (choice === "mine") return send({ base: now, text, ttl, onBase });
      if (choice === "theirs") return "theirs";
      onBase(now);
      return null;
    }
    if (error.code !== NOT_FOUND) throw error;
    return (await mayCreateAgain(base.key)) ? set(base.key, { ...form, prevExist: "false" }) : null;
  }
}

/** What is there to warn of before a text is saved in the place of another. */
function warningOf(before, text) {
  if (kindOf(before) !== "json") return null;
  const fault = jsonFault(text);
  return fault && `This was valid JSON, and no longer is: ${fault}`;
}

/** What a file or a check says below the editor. */
function Tools({ handle, onText, isJson }) {
  const [said, setSaid] = useState(null);
  const check = () => {
    const fault = jsonFault(handle.current.text());
    setSaid(fault ? { isWrong: true, text: `Not valid JSON: ${fault}` } : { text: "Valid JSON." });
  };
  const load = async (event) => {
    const [file] = event.target.files;
    event.target.value = "";
    if (!file) return;
    try {
      handle.current.set(await textOf(file));
      onText();
      setSaid({ text: `Loaded ${visible(file.name)}.` });
    } catch (error) {
      setSaid({ isWrong: true, text: error.message });
    }
  };
  return (
    <div class="line">
      <Button onPress={check}>{isJson ? "Check JSON" : "Check as JSON"}</Button>
      <label class="button file">
        Load a file
        <input type="file" class="visually-hidden" onChange={load} />
      </label>
      <p role="status" class={said?.isWrong ? "wrong" : "muted"}>
        {said?.text}
      </p>
    </div>
  );
}

/**
 * The form in the place of the value. `node` is what is there now; `onEnd(event)` is called when it
 * ends: with the event of a save, or null.
 */
export function Edit({ node, wrap, onEnd }) {
  const draft = useRef(draftOf(node.key));
  const base = useRef(draft.current?.base ?? node);
  const began = useRef(draft.current?.text ?? node.value);
  const handle = useRef(null);
  const ttl = useRef(draft.current?.ttl ?? node.ttl ?? "");
  const ttlField = useRef(null);
  const isDirty = useRef(draft.current !== null);
  const timer = useRef(0);
  const [wrong, setWrong] = useState("");
  const [hasRoom, setRoom] = useState(true);
  const ended = useRef(false);

  const keep = () => {
    timer.current = 0;
    if (ended.current || !handle.current) return;
    setRoom(
      keepDraft(node.key, {
        text: handle.current.text(),
        ttl: ttl.current,
        base: base.current,
        at: Date.now(),
      }),
    );
  };
  const changed = () => {
    isDirty.current = true;
    timer.current ||= setTimeout(keep, DRAFT_MS);
  };
  const end = (event) => {
    ended.current = true;
    clearTimeout(timer.current);
    forgetDraft(node.key);
    onEnd(event);
  };
  const isChanged = () =>
    isDirty.current &&
    (handle.current.text() !== base.current.value ||
      String(ttl.current) !== String(base.current.ttl ?? ""));
  const leave = async () => {
    if (isChanged() && !(await mayDiscard())) return false;
    end(null);
    return true;
  };
  useEffect(() => {
    const release = guard({ isChanged, leave });
    return () => {
      release();
      if (timer.current) {
        clearTimeout(timer.current);
        keep();
      }
    };
  }, []);

  const review = async () => {
    const field = ttlField.current.querySelector("input");
    field.removeAttribute("aria-invalid");
    if (!field.validity.valid) {
      field.setAttribute("aria-invalid", "true");
      field.focus();
      return setWrong(TTL_WRONG);
    }
    setWrong("");
    const text = handle.current.text();
    const result = await openReview({
      node: base.current,
      text,
      ttl: ttl.current,
      language: kindOf(text),
      warning: warningOf(base.current.value, text),
      save: () =>
        send({
          base: base.current,
          text,
          ttl: ttl.current,
          onBase: (now) => {
            base.current = now;
          },
        }),
    });
    if (result === null || result === undefined) return handle.current?.focus();
    if (result === "theirs") return end(null);
    offerUndo([result], `${visible(node.key)} was saved.`);
    end(result);
  };

  const key = (event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    event.preventDefault();
    leave();
  };
  const input = (event) => {
    ttl.current = event.target.value;
    changed();
  };
  return (
    <div class="edit" onKeyDown={key}>
      {draft.current && (
        <p class="muted" role="status">
          Your draft of <Time ms={draft.current.at} /> is shown; nothing of it is saved yet.
        </p>
      )}
      {base.current.modifiedIndex !== node.modifiedIndex && (
        <p class="tag warn" role="status">
          This key has changed since you began. Both are compared when you save.
        </p>
      )}
      <Code
        text={began.current}
        label="Value"
        language={kindOf(began.current)}
        wrap={wrap}
        numbers
        isEditable
        onChange={changed}
        onSave={review}
        handle={handle}
      />
      <Tools handle={handle} onText={changed} isJson={kindOf(node.value) === "json"} />
      <div ref={ttlField}>
        <TtlField
          ttl={ttl.current}
          hint="Saving restarts it. Empty: the key never expires."
          onInput={input}
        />
      </div>
      {!hasRoom && <p class="muted">Too large for a draft: a reload would lose it.</p>}
      <p class="wrong" role="alert">
        {wrong}
      </p>
      <div class="line">
        <Button kind="primary" onPress={review}>
          Review and save
        </Button>
        <Button onPress={leave}>Cancel</Button>
      </div>
    </div>
  );
}
