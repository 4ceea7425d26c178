// The tree of keys: a filter, and the rows of the directories that are open.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { nameOf, parentOf } from "../../server/api.js";
import { list } from "../../server/keys.js";
import { addressOf, goTo, place } from "../../state/route.js";
import { hidden } from "../../state/settings.js";
import { sayError } from "../../state/toasts.js";
import { count, visible } from "../../parts/words.js";
import { KindIcon } from "./icons.jsx";
import { kindOf, noteKind, openDirs, setOpen, showListing, treeFilter } from "./memory.js";
import { wayTo } from "./names.js";
import { findWay, treeListing, TreeRows } from "./treerows.js";
import { Unlisted } from "./unlisted.jsx";
import { useRowHeight, useRows } from "./virtual.js";

/** How far the first levels are moved in, and those that are deeper, in pixels. */
const STEP = 16;
const DEEP_STEP = 4;
const DEEP = 8;
const MOVES = new Set([
  "ArrowDown",
  "ArrowUp",
  "ArrowLeft",
  "ArrowRight",
  "PageDown",
  "PageUp",
  "Home",
  "End",
  "Enter",
  " ",
]);
/** What is left for a name at least. */
const NAME_WIDTH = 120;
/** Letters that follow one another within this time are one word. */
const TYPED_MS = 700;

function indentOf(level) {
  return Math.min(level - 1, DEEP) * STEP + Math.max(0, level - 1 - DEEP) * DEEP_STEP;
}

function Twisty({ isOpen, toggle }) {
  const press = (event) => {
    event.preventDefault();
    event.stopPropagation();
    toggle();
  };
  return <span class={`twisty ${isOpen ? "open" : ""}`} aria-hidden="true" onClick={press} />;
}

function Row({ row, selected, again }) {
  const { node, key, level, at, of, isFailed } = row;
  const indent = <span class="indent" style={{ width: `${indentOf(level)}px` }} />;
  const place = { minWidth: `${indentOf(level) + NAME_WIDTH}px` };
  if (isFailed) {
    return (
      <div class="row failed" role="treeitem" aria-level={level} style={place}>
        {indent}
        <span class="muted grow name">Not read.</span>
        <button type="button" class="button plain" tabIndex={-1} onClick={again}>
          Try again
        </button>
      </div>
    );
  }
  if (!node) {
    return (
      <div
        class="row"
        role="treeitem"
        aria-level={level}
        aria-busy="true"
        aria-label="Loading"
        style={place}
      >
        {indent}
        <span class="twisty none" />
        <span class="skeleton grow" />
      </div>
    );
  }
  const isOpen = node.dir && openDirs.value.has(key);
  const toggle = () => setOpen([key], !isOpen);
  const press = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.currentTarget.closest("[role=tree]").focus({ preventScroll: true });
    if (node.dir && (!isOpen || selected)) toggle();
  };
  return (
    <a
      class="row"
      role="treeitem"
      id={`row-${row.row}`}
      tabIndex={-1}
      style={place}
      href={addressOf("keys", key)}
      onClick={press}
      title={visible(key)}
      draggable={false}
      aria-level={level}
      aria-posinset={at + 1}
      aria-setsize={of}
      aria-expanded={node.dir ? isOpen : undefined}
      aria-selected={selected}
    >
      {indent}
      {node.dir ? <Twisty isOpen={isOpen} toggle={toggle} /> : <span class="twisty none" />}
      <KindIcon isDir={node.dir} isOpen={isOpen} />
      <span class="name">{key === "/" ? "/" : visible(nameOf(key))}</span>
      {node.ttl !== undefined && <span class="tag">ttl</span>}
    </a>
  );
}

/** The first key in a directory whose name begins with what was typed, as the server finds it. */
async function firstLike(dir, text) {
  const filter = `${text.replace(/[*?]/g, "?")}*`;
  const { nodes } = await list(dir, {
    keysOnly: true,
    limit: 1,
    hidden: hidden.value === "yes",
    filter,
  });
  return nodes[0]?.key;
}

/** The rows as they are now, and which of them the cursor is on. */
async function rowsAt(key) {
  const rows = new TreeRows();
  const at = rows.rowOf(key);
  if (at !== undefined) return { rows, at };
  await findWay(key, new AbortController().signal).catch(() => {});
  const found = new TreeRows();
  return { rows: found, at: found.rowOf(key) };
}

/** Whether a key is a directory, which may still be on its way. */
async function isDirectory(key) {
  if (kindOf(key) !== undefined) return kindOf(key);
  const { rows, at } = await rowsAt(key);
  return at !== undefined && Boolean((await rows.nodeOf(at))?.dir);
}

/** What the keys do. `page` is how many rows are in sight. */
function useTreeKeys(page) {
  const typed = useRef({ text: "", at: 0 });
  const stepped = useRef(null);
  // Where the cursor will be; the address follows a little later.
  const cursor = useRef(null);
  const turn = useRef(Promise.resolve());
  useEffect(() => {
    cursor.current = null;
  }, [place.value]);

  const step = (key) => {
    if (!key) return;
    // Back leads to where the steps began.
    const isStep = stepped.current === (cursor.current ?? place.value);
    [stepped.current, cursor.current] = [key, key === place.value ? null : key];
    goTo(addressOf("keys", key), { isStep });
  };
  const move = async (from, where) => {
    const { rows, at } = await rowsAt(from);
    const to = Math.max(0, Math.min(rows.count - 1, where(at ?? 0, rows)));
    const node = await rows.nodeOf(to);
    if (node) noteKind(node.key, Boolean(node.dir));
    step(node?.key);
  };
  const find = async (from, letter) => {
    const now = Date.now();
    const isMore = now - typed.current.at < TYPED_MS;
    typed.current = { text: (isMore ? typed.current.text : "") + letter, at: now };
    const { text } = typed.current;
    const found = await firstLike(openDirs.value.has(from) ? from : parentOf(from), text);
    if (typed.current.text === text) step(found);
  };
  const act = async (pressed) => {
    const key = cursor.current ?? place.value;
    const isOpen = openDirs.value.has(key);
    const isDir = isOpen || (await isDirectory(key));
    const toggle = () => isDir && setOpen([key], !isOpen);
    const actions = {
      ArrowDown: () => move(key, (at) => at + 1),
      ArrowUp: () => move(key, (at) => at - 1),
      PageDown: () => move(key, (at) => at + page),
      PageUp: () => move(key, (at) => at - page),
      Home: () => move(key, () => 0),
      End: () => move(key, (at, rows) => rows.count - 1),
      ArrowRight: () => isDir && (isOpen ? move(key, (at) => at + 1) : toggle()),
      ArrowLeft: () => (isOpen ? toggle() : step(key === "/" ? null : parentOf(key))),
      Enter: () => (isDir ? toggle() : document.getElementById("open-place")?.focus()),
      " ": toggle,
    };
    await (actions[pressed] ? actions[pressed]() : find(key, pressed));
  };
  return (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (!MOVES.has(event.key) && !/^[^\s/?]$/u.test(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    // One after the other, each from where the one before has led.
    turn.current = turn.current.then(() => act(event.key)).catch(sayError);
  };
}

/** Has the listings of open directories follow what happens. */
function useShown() {
  const ends = useRef(new Map());
  useLayoutEffect(() => {
    const wanted = new Set([...openDirs.value].map(treeListing));
    for (const [listing, end] of ends.current) {
      if (wanted.has(listing)) continue;
      end();
      ends.current.delete(listing);
    }
    for (const listing of wanted) {
      if (!ends.current.has(listing)) ends.current.set(listing, showListing(listing));
    }
  }, [openDirs.value, treeFilter.value, hidden.value]);
  useLayoutEffect(
    () => () => {
      for (const end of ends.current.values()) end();
      ends.current.clear();
    },
    [],
  );
}

/** The place that was brought into sight last: it may have been scrolled away since. */
let revealed = null;

/** Brings the open place into sight whenever it changes, until it is there. */
function useRevealed(rows, list) {
  const [goal, setGoal] = useState(null);
  useEffect(() => {
    const key = place.value;
    const abort = new AbortController();
    setOpen(wayTo(key), true);
    if (revealed !== key) setGoal({ key });
    // An error is shown where the directory is.
    findWay(key, abort.signal)
      .catch(() => {})
      .finally(() => {
        if (abort.signal.aborted || revealed === key) return;
        revealed = key;
        setGoal({ key, isFound: true });
      });
    return () => abort.abort();
  }, [place.value, hidden.value]);
  useLayoutEffect(() => {
    if (!goal) return;
    list.reveal(rows.rowOf(goal.key));
    if (goal.isFound) setGoal(null);
  });
}

function TreeFilter({ dir }) {
  const { dir: filtered, text } = treeFilter.value;
  const of = text ? filtered : dir;
  const typed = (event) => {
    treeFilter.value = { dir: of, text: event.target.value };
    setOpen([...wayTo(of), of], true);
  };
  const key = (event) => {
    if (event.key === "Escape" && text) {
      treeFilter.value = { dir: of, text: "" };
      event.stopPropagation();
    } else if (event.key === "ArrowDown") document.getElementById("tree").focus();
    else return;
    event.preventDefault();
  };
  const label = `Filter names in ${visible(of)}`;
  return (
    <input
      type="search"
      value={text}
      onInput={typed}
      onKeyDown={key}
      aria-label={label}
      placeholder={`Filter in ${of === "/" ? "/" : visible(nameOf(of))}`}
      autoComplete="off"
      spellcheck={false}
    />
  );
}

/** `dir` is the directory of the open place. */
export function Tree({ dir }) {
  const rows = new TreeRows();
  const row = useRowHeight();
  const list = useRows({ name: "tree", count: rows.count, row });
  useShown();
  useEffect(() => rows.want(list.first, list.last));
  useRevealed(rows, list);
  const key = useTreeKeys(list.inSight);
  const drawn = [...rows.between(list.first, list.last)];
  const selected = drawn.find((one) => one.key === place.value);
  const refused = [...openDirs.value].map(treeListing).find((one) => one.error?.isRefused);
  const width = Math.max(0, ...drawn.map((one) => indentOf(one.level) + NAME_WIDTH));
  return (
    <section class="card side" aria-label="Tree">
      <div class="above">
        <TreeFilter dir={dir} />
      </div>
      <div
        class="tree"
        role="tree"
        id="tree"
        tabIndex={0}
        aria-label="Keys"
        ref={list.box}
        onKeyDown={key}
        aria-activedescendant={selected && `row-${selected.row}`}
      >
        <div class="space" style={{ height: `${list.height}px`, minWidth: `${width}px` }}>
          <div class="rows" style={{ transform: `translateY(${list.top}px)` }}>
            {drawn.map((one) => (
              <Row
                key={one.key ?? `${one.dir} ${one.at}`}
                row={one}
                selected={one.key === place.value}
                again={() => one.listing?.again()}
              />
            ))}
          </div>
        </div>
      </div>
      {refused && <Unlisted error={refused.error} />}
      <p class="below small muted">{`Nodes in open directories: ${count(rows.count - 1)}`}</p>
    </section>
  );
}
