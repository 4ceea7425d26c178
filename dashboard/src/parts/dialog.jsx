// Dialogs: questions, and forms whose text stays until the server has taken it.

import { signal } from "@preact/signals";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { guard } from "../state/leaving.js";
import { sentence, visible } from "./words.js";

/** Each `{ id, Part, props, close }`, the topmost last. */
const dialogs = signal([]);
let last = 0;

/** Shows `Part` with `props` and `close`; gives what it closes with. */
export function openDialog(Part, props) {
  return new Promise((resolve) => {
    last += 1;
    const id = last;
    const close = (result) => {
      if (!dialogs.value.some((one) => one.id === id)) return;
      dialogs.value = dialogs.value.filter((one) => one.id !== id);
      resolve(result);
    };
    dialogs.value = [...dialogs.value, { id, Part, props, close }];
  });
}

/** Where dialogs are. */
export function Dialogs() {
  return dialogs.value.map(({ id, Part, props, close }) => (
    <Part key={id} {...props} close={close} />
  ));
}

/** Whether a dialog is open. */
export function isDialogOpen() {
  return dialogs.value.length > 0;
}

/** The box. `onCancel` is called for Escape; what had the focus before has it again afterwards. */
export function Dialog({ title, kind = "", onCancel, children, describedBy }) {
  const box = useRef(null);
  const id = useId();
  useLayoutEffect(() => {
    const before = document.activeElement;
    box.current.showModal();
    box.current.querySelector("[data-first]")?.focus();
    return () => {
      if (before?.isConnected) before.focus({ preventScroll: true });
      else document.getElementById("view")?.focus({ preventScroll: true });
    };
  }, []);
  const cancel = (event) => {
    // A field for files says so too, when the same file is chosen.
    if (event.target !== box.current) return;
    event.preventDefault();
    onCancel();
  };
  // A browser may close a dialog without asking.
  const closed = () => {
    if (!box.current) return;
    box.current.showModal();
    onCancel();
  };
  const key = (event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    event.preventDefault();
    onCancel();
  };
  return (
    <dialog
      ref={box}
      class={kind}
      aria-labelledby={id}
      aria-describedby={describedBy}
      onCancel={cancel}
      onClose={closed}
      onKeyDown={key}
    >
      {children(<h2 id={id}>{sentence(title)}</h2>)}
    </dialog>
  );
}

/** The dialog ends when the page goes elsewhere: what it asks belongs to where it was asked. */
function useEndsWithPlace(close) {
  useEffect(
    () =>
      guard({
        isChanged: () => false,
        leave() {
          close(undefined);
          return true;
        },
      }),
    [],
  );
}

function Question({ title, text, action, isDanger, typed, stay, detail, close }) {
  const [word, setWord] = useState("");
  const id = useId();
  useEndsWithPlace(close);
  const wanted = typed === undefined ? null : visible(typed);
  const isReady = wanted === null || word === wanted;
  const send = (event) => {
    event.preventDefault();
    if (isReady) close(true);
  };
  return (
    <Dialog title={title} onCancel={() => close(false)} describedBy={id}>
      {(heading) => (
        <form onSubmit={send} noValidate>
          {heading}
          <div id={id}>
            <p>{sentence(text)}</p>
            {detail}
          </div>
          {wanted !== null && (
            <label class="field">
              Type {wanted} to confirm
              <input
                type="text"
                data-first
                value={word}
                autoComplete="off"
                spellcheck={false}
                onInput={(event) => setWord(event.target.value)}
              />
            </label>
          )}
          <div class="buttons">
            <button
              type="button"
              class="button"
              data-first={wanted === null ? "" : undefined}
              onClick={() => close(false)}
            >
              {stay}
            </button>
            <button
              type="submit"
              class={`button ${isDanger ? "danger" : "primary"}`}
              disabled={!isReady}
            >
              {action}
            </button>
          </div>
        </form>
      )}
    </Dialog>
  );
}

/** Asks before something is lost; `typed` has to be typed first. Gives whether to do it. */
export async function confirmed(question) {
  const given = { isDanger: true, stay: "Cancel", ...question };
  return (await openDialog(Question, given)) === true;
}

/** Asks whether what was typed may be thrown away. */
export function mayDiscard(isSent = false) {
  return confirmed({
    title: "Discard what you typed?",
    text: isSent
      ? "The change has been sent and may still be made. What you typed is lost."
      : "What you typed is lost.",
    action: "Discard",
    stay: "Continue editing",
  });
}

/** What is in the fields of a form now. */
function typedIn(form) {
  const fields = [...form.querySelectorAll("input, textarea, select")];
  return JSON.stringify(
    fields.map((field) => [field.value, field.checked, field.validity.badInput]),
  );
}

/** Marks the first field that is not valid, and gives it. */
function firstWrong(form) {
  const fields = [...form.querySelectorAll("input, textarea, select")];
  for (const field of fields) field.removeAttribute("aria-invalid");
  const wrong = fields.find((field) => !field.disabled && !field.validity.valid);
  wrong?.setAttribute("aria-invalid", "true");
  wrong?.focus();
  return wrong;
}

/**
 * A form in a dialog. `run(form)` sends it; while that throws, which is shown, or gives false, the
 * form stays as it is. An input that is not valid is told of in the words of its `data-wrong`.
 * Closes with what `run` gave (true if nothing), null if it was left.
 */
export function FormDialog({ title, action, running, kind, isDanger, run, close, children }) {
  const form = useRef(null);
  const before = useRef("");
  const isBusy = useRef(false);
  const [wrong, setWrong] = useState("");
  const [isSending, setSending] = useState(false);
  useLayoutEffect(() => {
    before.current = typedIn(form.current);
  }, []);

  const isChanged = () =>
    isBusy.current || (form.current && typedIn(form.current) !== before.current);
  const leave = async () => {
    if (isChanged() && !(await mayDiscard(isBusy.current))) return false;
    close(null);
    return true;
  };
  useEffect(() => guard({ isChanged, leave }), []);

  const send = async (event) => {
    event.preventDefault();
    if (isBusy.current) return;
    const field = firstWrong(form.current);
    if (field) return setWrong(field.dataset.wrong ?? field.validationMessage);
    setWrong("");
    isBusy.current = true;
    setSending(true);
    let result = false;
    try {
      result = (await run(form.current)) ?? true;
    } catch (error) {
      setWrong(error.message);
    }
    isBusy.current = false;
    setSending(false);
    if (result !== false) close(result);
  };
  const key = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send(event);
  };
  return (
    <Dialog title={title} kind={kind} onCancel={leave}>
      {(heading) => (
        <form ref={form} noValidate onSubmit={send} onKeyDown={key}>
          {heading}
          {children}
          <p class="wrong" role="alert">
            {sentence(wrong)}
          </p>
          <div class="buttons">
            <button type="button" class="button" onClick={leave}>
              Cancel
            </button>
            <button
              type="submit"
              class={`button ${isDanger ? "danger" : "primary"}`}
              aria-disabled={isSending ? "true" : undefined}
            >
              {isSending ? running : action}
            </button>
          </div>
        </form>
      )}
    </Dialog>
  );
}
