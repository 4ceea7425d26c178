// Saving: what will change, and what to do when somebody else was faster.

import { useEffect, useRef, useState } from "preact/hooks";
import { guard } from "../../../state/leaving.js";
import { Difference } from "../../../parts/code.jsx";
import { confirmed, Dialog, openDialog } from "../../../parts/dialog.jsx";
import { sentence, visible } from "../../../parts/words.js";
import { lineMarks } from "./lines.js";

/** Shows what a save changes; `save()` does it, or throws. Closes with what that gave. */
function Review({ node, text, ttl, language, warning, save, close }) {
  const [wrong, setWrong] = useState("");
  const [isSaving, setSaving] = useState(false);
  const isBusy = useRef(false);
  const leave = () => {
    if (!isBusy.current) close(null);
    return !isBusy.current;
  };
  useEffect(() => guard({ isChanged: () => false, leave }), []);
  const send = async (event) => {
    event.preventDefault();
    if (isBusy.current) return;
    isBusy.current = true;
    setSaving(true);
    setWrong("");
    try {
      const result = await save();
      isBusy.current = false;
      return close(result);
    } catch (error) {
      setWrong(error.message);
    }
    isBusy.current = false;
    setSaving(false);
  };
  const isSame = node.value === text;
  return (
    <Dialog title={`Save ${visible(node.key)}?`} kind="wide" onCancel={leave}>
      {(heading) => (
        <form
          onSubmit={send}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send(event);
          }}
        >
          {heading}
          {isSame ? (
            <p>The value does not change.</p>
          ) : (
            <Difference
              before={node.value}
              after={text}
              language={language}
              label="What will change"
            />
          )}
          <p class="muted">
            {ttl === "" ? "It will never expire." : `It will expire ${ttl} s after it is saved.`}
          </p>
          {warning && <p class="tag warn">{warning}</p>}
          <p class="wrong" role="alert">
            {sentence(wrong)}
          </p>
          <div class="buttons">
            <button type="button" class="button" onClick={leave}>
              Continue editing
            </button>
            <button
              type="submit"
              class="button primary"
              data-first
              aria-disabled={isSaving ? "true" : undefined}
            >
              {isSaving ? "Saving..." : "Save"}
            </button>
          </div>
        </form>
      )}
    </Dialog>
  );
}

export function openReview(props) {
  return openDialog(Review, props);
}

/** One of the three texts, with the lines marked in which it differs from the first. */
function Column({ title, text, marks, kind }) {
  return (
    <section class="column">
      <h3>{title}</h3>
      <pre tabIndex={0} aria-label={title}>
        {text.split("\n").map((line, at) => (
          <span key={at} class={marks?.has(at) ? `line-${kind}` : undefined}>
            {line || " "}
            {"\n"}
          </span>
        ))}
      </pre>
    </section>
  );
}

function Conflict({ base, now, mine, said, close }) {
  useEffect(
    () =>
      guard({
        isChanged: () => false,
        leave() {
          close("edit");
          return true;
        },
      }),
    [],
  );
  const theirs = now.value ?? "";
  return (
    <Dialog title={`${visible(now.key)} has changed`} kind="wide" onCancel={() => close("edit")}>
      {(heading) => (
        <div class="inside">
          {heading}
          <p>Somebody changed this key while you were editing. {sentence(said)}</p>
          <div class="columns">
            <Column title="When you began" text={base.value} />
            <Column title="Now" text={theirs} marks={lineMarks(base.value, theirs)} kind="theirs" />
            <Column title="Yours" text={mine} marks={lineMarks(base.value, mine)} kind="mine" />
          </div>
          <div class="buttons">
            <button type="button" class="button" onClick={() => close("theirs")}>
              Keep the current value
            </button>
            <button type="button" class="button primary" data-first onClick={() => close("edit")}>
              Continue editing
            </button>
            <button type="button" class="button danger" onClick={() => close("mine")}>
              Overwrite with mine
            </button>
          </div>
        </div>
      )}
    </Dialog>
  );
}

/** Asks what to do: "theirs", "edit" or "mine". */
export function openConflict(props) {
  return openDialog(Conflict, props);
}

/** Asks whether a key that is gone is to be made again. */
export function mayCreateAgain(key) {
  return confirmed({
    title: `${visible(key)} is gone`,
    text: "The key was deleted or expired while you were editing. Create it again with your value?",
    action: "Create it again",
    stay: "Continue editing",
    isDanger: false,
  });
}
