// The command palette, and the keys that work anywhere.

import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { list } from "../server/keys.js";
import { hidden as showsHidden } from "../state/settings.js";
import { addressOf, goTo, lastAddress } from "../state/route.js";
import { Dialog, isDialogOpen, openDialog } from "./dialog.jsx";
import { visible } from "./words.js";

const HITS = 12;

/** Commands of what is shown: `{ label, keys, run }`; a key may be one letter. */
export const commands = signal([]);

/** Has a part of a view offer commands while it is shown, beside those of others. */
export function useCommands(made, inputs) {
  useEffect(() => {
    commands.value = [...commands.value, ...made];
    return () => {
      commands.value = commands.value.filter((one) => !made.includes(one));
    };
  }, inputs);
}

/** Keys whose path begins with what was typed, from the server. */
async function keysLike(text, abort) {
  if (!text.startsWith("/")) return [];
  const cut = text.lastIndexOf("/");
  const [dir, start] = [text.slice(0, cut) || "/", text.slice(cut + 1)];
  const options = {
    limit: HITS,
    keysOnly: true,
    filter: start && `${start}*`,
    hidden: showsHidden.value === "yes",
    signal: abort,
  };
  const { nodes } = await list(dir, options).catch(() => ({ nodes: [] }));
  return nodes.map((node) => ({
    label: visible(node.key),
    note: node.dir ? "directory" : "key",
    href: addressOf("keys", node.key),
  }));
}

function found(views, text) {
  const wanted = text.toLowerCase();
  const all = [
    ...views
      .filter((one) => one.isShown?.() ?? true)
      .map((one) => ({ label: one.title, note: "view", href: `#/${one.name}` })),
    ...commands.value.map((one) => ({
      label: one.label,
      note: one.keys ?? "command",
      run: one.run,
    })),
  ];
  const path = text.startsWith("/")
    ? [{ label: `Open ${visible(text)}`, note: "key", href: addressOf("keys", text) }]
    : [];
  return [...all.filter((one) => one.label.toLowerCase().includes(wanted)), ...path];
}

function Palette({ views, close }) {
  const [text, setText] = useState("");
  const [hits, setHits] = useState([]);
  const [at, setAt] = useState(0);
  const chosen = useRef(null);
  useEffect(() => {
    const abort = new AbortController();
    keysLike(text, abort.signal).then((keys) => {
      if (!abort.signal.aborted) setHits(keys);
    });
    setAt(0);
    return () => abort.abort();
  }, [text]);
  const all = [...found(views, text), ...hits].slice(0, 50);
  useEffect(() => chosen.current?.scrollIntoView({ block: "nearest" }), [at]);
  const take = (one) => {
    if (!one) return;
    close();
    if (one.href) goTo(one.href);
    else one.run();
  };
  const key = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) setAt((at + step + all.length) % Math.max(1, all.length));
    else if (event.key === "Enter") take(all[at]);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog title="Go to" kind="palette" onCancel={() => close()}>
      {(heading) => (
        <div class="inside" onKeyDown={key}>
          {heading}
          <input
            type="text"
            data-first
            value={text}
            placeholder="A view, a command, or a key: /app/config"
            aria-label="A view, a command, or a key"
            role="combobox"
            aria-expanded="true"
            aria-controls="palette-hits"
            aria-activedescendant={all[at] ? `palette-${at}` : undefined}
            autoComplete="off"
            spellcheck={false}
            onInput={(event) => setText(event.target.value)}
          />
          <div role="listbox" id="palette-hits" aria-label="Found" tabIndex={-1}>
            {all.map((one, number) => (
              <div
                key={`${one.note} ${one.label}`}
                id={`palette-${number}`}
                role="option"
                aria-selected={number === at}
                ref={number === at ? chosen : undefined}
                onClick={() => take(one)}
              >
                <span class="grow">{one.label}</span>
                <span class="muted small">{one.note}</span>
              </div>
            ))}
          </div>
        </div>
      )}
    </Dialog>
  );
}

export function openPalette(views) {
  return openDialog(Palette, { views });
}

const SHORTCUTS = [
  ["Ctrl K", "Go to a view, a command or a key"],
  ["/", "Search or filter in the view"],
  ["?", "These shortcuts"],
  ["g then c, k, e, l, p", "Cluster, Keys, Events, Locks, People"],
  ["Arrows, Home, End", "Move in a tree, a table or a menu"],
  ["Enter", "Open what is selected"],
  ["Ctrl Enter", "Send a form, save an edit"],
  ["Escape", "Close; asks before something is lost"],
];

function Shortcuts({ close }) {
  return (
    <Dialog title="Keyboard shortcuts" onCancel={() => close()}>
      {(heading) => (
        <div class="inside">
          {heading}
          <dl class="shortcuts">
            {[
              ...SHORTCUTS,
              ...commands.value.filter((one) => one.keys).map((one) => [one.keys, one.label]),
            ].map(([keys, text]) => (
              <>
                <dt>
                  <kbd>{keys}</kbd>
                </dt>
                <dd>{text}</dd>
              </>
            ))}
          </dl>
          <div class="buttons">
            <button type="button" class="button" data-first onClick={() => close()}>
              Close
            </button>
          </div>
        </div>
      )}
    </Dialog>
  );
}

export function openShortcuts() {
  return openDialog(Shortcuts, {});
}

/** Whether a key is typed into something. An editor is in a shadow root of its own. */
function isTyping(event) {
  const [target] = event.composedPath();
  return Boolean(target.closest?.("input, textarea, select, [contenteditable=true]"));
}

/** The keys that work anywhere, other than while something is typed or asked. */
export function useShortcuts(views) {
  useEffect(() => {
    let hasG = false;
    const key = (event) => {
      const isPalette = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k";
      if (isPalette && !isDialogOpen()) {
        event.preventDefault();
        openPalette(views);
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (isDialogOpen() || isTyping(event)) return;
      const wanted =
        hasG &&
        views.find((one) => one.title[0].toLowerCase() === event.key && (one.isShown?.() ?? true));
      const command = commands.value.find((one) => one.keys === event.key);
      hasG = event.key === "g" && !hasG;
      if (wanted) goTo(lastAddress(wanted.name));
      else if (event.key === "?") openShortcuts();
      else if (event.key === "/") document.querySelector("[data-search]")?.focus();
      else if (command) command.run();
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, []);
}
