// The editor of values (CodeMirror), fetched when a value is first shown. It knows nothing of the
// page: `parts/code.jsx` is what puts it there.

import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { json } from "@codemirror/lang-json";
import { yaml } from "@codemirror/lang-yaml";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { unifiedMergeView } from "@codemirror/merge";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState } from "@codemirror/state";
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightSpecialChars,
  keymap,
  lineNumbers,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";

const LANGUAGES = { json, yaml };
/** Longer texts are shown without colours, which would take longer than the text. */
const COLOURED_MAX = 2_000_000;

const COLOURS = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--code-name)" },
  { tag: tags.string, color: "var(--code-string)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--code-number)" },
  { tag: [tags.keyword, tags.atom], color: "var(--code-word)" },
  { tag: tags.comment, color: "var(--muted)", fontStyle: "italic" },
  { tag: tags.invalid, color: "var(--bad)" },
]);

/** As specific as the rule that it is instead of. */
const SELECTION = [
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground",
  ".cm-selectionBackground",
].join(", ");

const LOOK = EditorView.theme({
  "&": {
    backgroundColor: "var(--card)",
    color: "var(--text)",
    fontSize: "var(--small)",
    maxHeight: "var(--code-height)",
    minHeight: "118px",
  },
  "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "-2px" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.55" },
  ".cm-gutters": {
    backgroundColor: "var(--sunken)",
    color: "var(--muted)",
    borderRight: "1px solid var(--line)",
  },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--hover)" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  [SELECTION]: {
    backgroundColor: "var(--accent-soft)",
  },
  ".cm-specialChar": { color: "var(--bad)" },
  ".cm-panels": {
    backgroundColor: "var(--sunken)",
    color: "var(--text)",
    borderColor: "var(--line)",
  },
  ".cm-textfield, .cm-button": {
    minHeight: "var(--target)",
    width: "auto",
    background: "var(--card)",
    color: "var(--text)",
    border: "1px solid var(--line-strong)",
  },
  ".cm-changedLine": { backgroundColor: "var(--good-soft) !important" },
  ".cm-deletedChunk": { backgroundColor: "var(--bad-soft)" },
  ".cm-changedText, .cm-deletedText": {
    background: "none !important",
    textDecoration: "underline",
    textUnderlineOffset: "3px",
  },
});

/**
 * The line end of a text. One that is mixed has "\n": what else is in it stays as letters that are
 * seen, so that nothing changes that was not touched.
 */
function separatorOf(text) {
  const ends = text.match(/\r\n|\r|\n/g) ?? [];
  return ends.length > 0 && ends.every((end) => end === "\r\n") ? "\r\n" : "\n";
}

function languageOf(name, length) {
  const made = length > COLOURED_MAX ? undefined : LANGUAGES[name];
  return made ? made() : [];
}

/** What an editor has in any use. */
function common({ label, lineEnd, isEditable }) {
  return [
    EditorState.lineSeparator.of(lineEnd),
    highlightSpecialChars(),
    drawSelection(),
    syntaxHighlighting(COLOURS),
    LOOK,
    EditorView.editable.of(isEditable),
    EditorState.readOnly.of(!isEditable),
    EditorView.contentAttributes.of({
      "aria-label": label,
      "aria-readonly": isEditable ? "false" : "true",
      spellcheck: "false",
      tabindex: "0",
    }),
  ];
}

/**
 * Shows a text in `parent`, a shadow root. `options`: `text`, `label`, `language` ("json", "yaml"
 * or none), `wrap`, `numbers`, `isEditable`, `onChange()`, `onSave()`. Gives `{ text(), set(text),
 * change(options), focus(), close() }`.
 */
export function open(parent, options) {
  const { text, isEditable = false, onChange, onSave } = options;
  const [language, wrap, numbers] = [new Compartment(), new Compartment(), new Compartment()];
  const save = {
    key: "Mod-Enter",
    run: () => {
      onSave?.();
      return true;
    },
  };
  const make = (doc) => {
    const lineEnd = separatorOf(doc);
    return EditorState.create({
      doc,
      extensions: [
        keymap.of([
          ...(isEditable ? [save] : []),
          ...searchKeymap,
          ...historyKeymap,
          ...defaultKeymap,
        ]),
        search({ top: true }),
        highlightSelectionMatches(),
        isEditable ? [history(), bracketMatching(), highlightActiveLine()] : [],
        language.of(languageOf(options.language, doc.length)),
        wrap.of(options.wrap ? EditorView.lineWrapping : []),
        numbers.of(options.numbers ? lineNumbers() : []),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) onChange?.();
        }),
        ...common({ label: options.label, lineEnd, isEditable }),
      ],
    });
  };
  const view = new EditorView({ parent, root: parent, state: make(text) });
  return {
    text: () => view.state.sliceDoc(),
    set: (next) => view.setState(make(next)),
    change(now) {
      Object.assign(options, now);
      view.dispatch({
        effects: [
          language.reconfigure(languageOf(options.language, view.state.doc.length)),
          wrap.reconfigure(options.wrap ? EditorView.lineWrapping : []),
          numbers.reconfigure(options.numbers ? lineNumbers() : []),
        ],
      });
    },
    focus: () => view.focus(),
    close: () => view.destroy(),
  };
}

/** Shows how `after` differs from `before`, with what has not changed folded. */
export function openDifference(parent, { before, after, label, language }) {
  const view = new EditorView({
    parent,
    root: parent,
    state: EditorState.create({
      doc: after,
      extensions: [
        lineNumbers(),
        EditorView.lineWrapping,
        languageOf(language, after.length),
        unifiedMergeView({
          original: EditorState.create({
            doc: before,
            extensions: EditorState.lineSeparator.of("\n"),
          }).doc,
          mergeControls: false,
          highlightChanges: true,
          gutter: true,
          syntaxHighlightDeletions: false,
          collapseUnchanged: { margin: 3, minSize: 6 },
          diffConfig: { scanLimit: 2000, timeout: 300 },
        }),
        ...common({ label, lineEnd: "\n", isEditable: false }),
      ],
    }),
  });
  return { close: () => view.destroy() };
}
