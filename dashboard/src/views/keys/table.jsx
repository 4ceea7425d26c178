// A directory as a table: what is in it, sorted and filtered by the server.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { nameOf } from "../../server/api.js";
import { timeOf } from "../../server/times.js";
import { onEvents } from "../../state/live.js";
import { addressOf, query, setQuery } from "../../state/route.js";
import { hidden } from "../../state/settings.js";
import { sayError } from "../../state/toasts.js";
import { Empty, Failed } from "../../parts/states.jsx";
import { Time, Until } from "../../parts/time.jsx";
import { bytes, count, plural, quoted, sentence, visible } from "../../parts/words.js";
import { KindIcon } from "./icons.jsx";
import { listingOf, showListing } from "./memory.js";
import { sizeOf } from "./names.js";
import { chooseAll, choose, followSelection, isChosen, selection } from "./selection.js";
import { Unlisted } from "./unlisted.jsx";
import { useRowHeight, useRows } from "./virtual.js";

const COLUMNS = [
  { order: "name", title: "Name", kind: "name" },
  { title: "Value", kind: "value" },
  { order: "size", title: "Size", kind: "number size" },
  { order: "expires", title: "Expires in", kind: "number expires" },
  { order: "modified", title: "Index", kind: "number modified" },
  { title: "Modified", kind: "number seen" },
];
const PREVIEW_LETTERS = 200;
const FILTER_MS = 200;
/** Rows that are drawn before it is known how many there are. */
const WAITING = 8;

/** The listing that the address names. */
export function useTable(dir) {
  const order = query.value.get("order") ?? "name";
  const filter = query.value.get("filter") ?? "";
  const isHidden = hidden.value === "yes";
  const listing = useMemo(
    () => listingOf(dir, { order, filter, hidden: isHidden, count: true }),
    [dir, order, filter, isHidden],
  );
  useLayoutEffect(() => showListing(listing), [listing]);
  return { listing, order, filter };
}

function Head({ column, order, row }) {
  const { title, kind } = column;
  if (!column.order)
    return (
      <th scope="col" class={kind}>
        {title}
      </th>
    );
  const isBy = order.replace("-", "") === column.order;
  const isDown = order.startsWith("-");
  const next = isBy && !isDown ? `-${column.order}` : column.order;
  const press = () => setQuery({ order: next === "name" ? "" : next });
  return (
    <th
      scope="col"
      class={kind}
      style={{ height: `${row}px` }}
      aria-sort={isBy ? (isDown ? "descending" : "ascending") : undefined}
    >
      <button type="button" class="sort" onClick={press}>
        {title}
        {isBy && <span aria-hidden="true">{isDown ? " \u2193" : " \u2191"}</span>}
      </button>
    </th>
  );
}

function preview(node) {
  if (node.dir) {
    return node.children === undefined ? "" : plural(node.children, "child", "children");
  }
  // Spaces at its ends are a value's own: only what cannot be seen is escaped.
  return sentence((node.value ?? "").slice(0, PREVIEW_LETTERS));
}

function Cells({ node }) {
  const text = preview(node);
  const made = timeOf(node.modifiedIndex);
  return (
    <>
      <td class="name">
        <a href={addressOf("keys", node.key)} title={visible(node.key)} draggable={false}>
          <KindIcon isDir={node.dir} label />
          <span class="cut">{visible(nameOf(node.key))}</span>
        </a>
      </td>
      <td class="value">
        <span class={`cut ${node.dir ? "muted" : "mono"}`}>{text}</span>
      </td>
      <td class="number size">{node.dir ? "" : bytes(sizeOf(node))}</td>
      <td class="number expires">
        {node.expiration && <Until ms={Date.parse(node.expiration)} />}
      </td>
      <td class="number modified mono">{count(node.modifiedIndex)}</td>
      <td class="number seen">{typeof made === "number" && <Time ms={made} />}</td>
    </>
  );
}

/** Chooses rows, with Shift those up to the one before. */
function useChoosing(dir, listing) {
  const last = useRef(null);
  return async (event, at, node) => {
    const isOn = event.target.checked;
    const from = event.shiftKey && last.current !== null ? last.current : at;
    last.current = at;
    const nodes = [];
    for (let one = Math.min(from, at); one <= Math.max(from, at); one += 1) {
      nodes.push(one === at ? node : await listing.fetchRow(one));
    }
    choose(dir, nodes.filter(Boolean), isOn);
  };
}

function Rows({ dir, listing, list, row, canChoose }) {
  listing.version.value;
  const take = useChoosing(dir, listing);
  const rows = [];
  for (let at = list.first; at < list.last; at += 1) {
    const node = listing.rowAt(at);
    const style = { height: `${row}px` };
    if (!node) {
      rows.push(
        <tr key={`wait ${at}`} style={style} aria-rowindex={at + 2}>
          {canChoose && <td class="choose" />}
          {COLUMNS.map(({ title, kind }) => (
            <td key={title} class={kind}>
              <span class="skeleton" />
            </td>
          ))}
        </tr>,
      );
      continue;
    }
    const isOn = isChosen(node);
    rows.push(
      <tr key={node.key} style={style} aria-rowindex={at + 2} class={isOn ? "chosen" : ""}>
        {canChoose && (
          <td class="choose">
            <label>
              <input
                type="checkbox"
                checked={isOn}
                aria-label={`Select ${visible(nameOf(node.key))}`}
                onClick={(event) => take(event, at, node).catch(sayError)}
              />
            </label>
          </td>
        )}
        <Cells node={node} />
      </tr>,
    );
  }
  return rows;
}

function Nothing({ dir, filter }) {
  if (filter) {
    return (
      <Empty title="No name matches the filter">
        In a filter * stands for any letters, and ? for one.
      </Empty>
    );
  }
  const path = dir.split("/").map(encodeURIComponent).join("/");
  const url = `${location.origin}/v2/keys${path === "/" ? "" : path}/hello`;
  const command = `curl -L -X PUT ${quoted(url)} -d value=world`;
  const title = dir === "/" ? "There are no keys yet" : "This directory is empty";
  return (
    <Empty title={title} command={command}>
      Make a key with New key, or from a shell:
    </Empty>
  );
}

/** The lines that say how much there is. */
export function Counts({ listing, filter }) {
  listing.version.value;
  const { total, page } = listing;
  if (total === null) {
    return (
      <p class="counts small muted" role="status">
        Reading the directory...
      </p>
    );
  }
  const below = page.below ?? total;
  const parts = [
    `${plural(below, "key or directory", "keys and directories")} below`,
    `${count(page.children ?? total)} here`,
  ];
  if (filter) parts.push(`${count(total)} match`);
  return (
    <p class="counts small muted" role="status">
      {parts.join(", ")}
    </p>
  );
}

/** The filter of the table, which the address names. */
export function TableFilter({ filter }) {
  const [text, setText] = useState(filter);
  const sent = useRef(filter);
  const timer = useRef(0);
  useEffect(() => {
    if (filter === sent.current) return;
    sent.current = filter;
    setText(filter);
  }, [filter]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const typed = (event) => {
    const now = event.target.value;
    setText(now);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      sent.current = now;
      setQuery({ filter: now });
    }, FILTER_MS);
  };
  return (
    <input
      type="search"
      class="filter"
      value={text}
      onInput={typed}
      aria-label="Filter the table"
      placeholder="Filter the table"
      autoComplete="off"
      spellcheck={false}
    />
  );
}

function Spacer({ height }) {
  return (
    height > 0 && (
      <tr aria-hidden="true" class="spacer">
        <td style={{ height: `${height}px` }} />
      </tr>
    )
  );
}

function Listed({ dir, listing, order, filter, canChoose }) {
  listing.version.value;
  const row = useRowHeight();
  const total = listing.total ?? WAITING;
  const name = `table ${dir}?${order}&${filter}`;
  const list = useRows({ name, count: total, row, head: row });
  useEffect(() => {
    listing.want(list.first, list.last);
    return () => listing.rest();
  }, [listing, list.first, list.last, listing.total]);
  const { dir: chosenIn, isAll } = selection.value;
  const all = filter ? "Select all that match" : "Select all";
  const rest = list.height - list.top - (list.last - list.first) * row;
  return (
    <div class="rows-box" ref={list.box} onKeyDown={moveInTable}>
      <table class="listing" aria-rowcount={total + 1} aria-busy={listing.total === null}>
        <caption>{visible(dir)}</caption>
        <thead>
          <tr>
            {canChoose && (
              <th scope="col" class="choose">
                <label>
                  <input
                    type="checkbox"
                    aria-label={all}
                    checked={isAll && chosenIn === dir}
                    onChange={(event) => chooseAll(dir, filter, event.target.checked)}
                  />
                </label>
              </th>
            )}
            {COLUMNS.map((column) => (
              <Head key={column.title} column={column} order={order} row={row} />
            ))}
          </tr>
        </thead>
        <tbody>
          <Spacer height={list.top} />
          <Rows dir={dir} listing={listing} list={list} row={row} canChoose={canChoose} />
          <Spacer height={rest} />
        </tbody>
      </table>
    </div>
  );
}

/** What is in a directory, or what is to be said instead. */
export function Table(props) {
  const { dir, listing, filter } = props;
  listing.version.value;
  selection.value;
  useEffect(() => onEvents(followSelection), []);
  // Where there are no rows, the first may come.
  const isBare = listing.error !== null || listing.gone !== null || listing.total === 0;
  useEffect(() => {
    if (isBare) listing.want(0, 1);
  }, [listing, isBare]);
  if (listing.error?.isRefused) return <Unlisted error={listing.error} within={dir} />;
  if (listing.error) return <Failed error={listing.error} again={() => listing.again()} />;
  if (listing.gone) return <Empty title={`This directory ${GONE[listing.gone]}`} />;
  if (listing.total === 0) return <Nothing dir={dir} filter={filter} />;
  return <Listed {...props} />;
}

const GONE = { deleted: "has been deleted", expired: "has expired" };

/** The keys of the table: arrows move from row to row. */
function moveInTable(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || event.target.closest("td.name") === null) return;
  const rows = [...event.currentTarget.querySelectorAll("td.name a")];
  const next = rows[rows.indexOf(event.target) + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
}
