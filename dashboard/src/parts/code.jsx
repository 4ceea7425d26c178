// Texts with line numbers and colours, by an editor that is fetched when it is first needed.

import { useEffect, useImperativeHandle, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Failed } from "./states.jsx";

/** So much of a text is shown while the editor is on its way. */
const FIRST = 20_000;
let fetched = null;

/** The editor's module. It is asked for again where it did not come. */
function fetchEditor() {
  fetched ??= import("./editor.js").catch((error) => {
    fetched = null;
    throw error;
  });
  return fetched;
}

/**
 * Where an editor is. It adds its rules to the shadow root by script: in the page itself it would
 * write a style element, which the content security policy forbids.
 */
function rootIn(place) {
  return place.shadowRoot ?? place.attachShadow({ mode: "open" });
}

function useEditor(open, inputs) {
  const place = useRef(null);
  const editor = useRef(null);
  const [state, setState] = useState({ isHere: false, error: null });
  useEffect(() => {
    let isGone = false;
    fetchEditor().then(
      (module) => {
        if (isGone || !place.current) return;
        editor.current = open(module, rootIn(place.current));
        setState({ isHere: true, error: null });
      },
      () => {
        if (!isGone)
          setState({
            isHere: false,
            error: new Error("The editor could not be fetched from the server."),
          });
      },
    );
    return () => {
      isGone = true;
      editor.current?.close();
      editor.current = null;
    };
  }, inputs);
  return { place, editor, ...state };
}

/**
 * A text. With `isEditable` it can be changed: `handle` (a ref) then has `text()`, `set(text)` and
 * `focus()`, and `onChange` is called without the text, which may be large.
 */
export function Code({
  text,
  label,
  language,
  wrap,
  numbers,
  isEditable,
  onChange,
  onSave,
  handle,
}) {
  // The editor comes later than it is asked for, and shows what is wanted then.
  const latest = useRef({});
  latest.current = { text, language, wrap, numbers, onChange, onSave };
  const shown = useRef(text);
  const { place, editor, isHere, error } = useEditor(
    (module, parent) => {
      const options = {
        ...latest.current,
        label,
        isEditable,
        onChange: () => latest.current.onChange?.(),
        onSave: () => latest.current.onSave?.(),
      };
      shown.current = options.text;
      const made = module.open(parent, options);
      if (isEditable) made.focus();
      return made;
    },
    [label, isEditable],
  );
  useLayoutEffect(() => {
    if (!editor.current || shown.current === text) return;
    shown.current = text;
    editor.current.set(text);
  }, [text]);
  useLayoutEffect(() => {
    editor.current?.change({ language, wrap, numbers });
  }, [language, wrap, numbers]);
  useImperativeHandle(
    handle,
    () => ({
      text: () => editor.current?.text() ?? text,
      set: (next) => editor.current?.set(next),
      focus: () => editor.current?.focus(),
    }),
    [text, isHere],
  );
  return (
    <div class="code">
      {error && <Failed error={error} />}
      {!isHere && (
        <pre class="first" tabIndex={0}>
          {text.slice(0, FIRST)}
        </pre>
      )}
      <div ref={place} class={isHere ? "" : "visually-hidden"} />
    </div>
  );
}

/** How one text differs from another. */
export function Difference({ before, after, label, language }) {
  const { place, isHere, error } = useEditor(
    (module, parent) => module.openDifference(parent, { before, after, label, language }),
    [before, after, label],
  );
  return (
    <div class="code difference">
      {error && <Failed error={error} />}
      {!isHere && !error && <pre class="first">Comparing...</pre>}
      <div ref={place} />
    </div>
  );
}
