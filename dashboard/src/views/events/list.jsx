// The list of events: as many rows are in the page as are seen.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useNarrow } from "../../parts/narrow.js";
import { moment } from "../../parts/time.jsx";
import { count, duration, plural, sentence, visible } from "../../parts/words.js";
import { timeOf } from "../../server/times.js";
import { addressOf } from "../../state/route.js";
import { Detail } from "./detail.jsx";

/** Heights of a row, which events.css has too. */
const ROW = 36;
const ROW_PHONE = 80;
/** Rows beyond what is seen. */
const MORE = 8;
const VALUE_MAX = 160;

const REMOVALS = ["delete", "expire", "compareAndDelete"];

function tagOf(action) {
  if (REMOVALS.includes(action)) return "bad";
  return action === "create" ? "good" : "accent";
}

function previewOf({ value, isDir, action }) {
  if (isDir) return <span class="muted">directory</span>;
  if (value === undefined)
    return <span class="muted">{REMOVALS.includes(action) ? "" : "no value"}</span>;
  return <code>{sentence(value.slice(0, VALUE_MAX).replaceAll("\n", "\u21b5 "))}</code>;
}

export function lossOf(row) {
  if (row.isDropped)
    return `${plural(row.count, "event")} that waited were dropped: no more than 5,000 wait.`;
  return row.first === row.last
    ? `Event ${count(row.first)} is lost: the history had gone on.`
    : `Events ${count(row.first)} to ${count(row.last)} are lost: the history had gone on.`;
}

/** When an event was: as it came, or as the server knows it. */
export function timeOfRow(row) {
  return row.at ?? timeOf(row.index) ?? null;
}

function Row({ row, at, top, isOpen, toggle }) {
  const place = { role: "row", "aria-rowindex": at + 2, style: { top: `${top}px` } };
  if (row.isLost || row.isDropped) {
    return (
      <div {...place} class="event lost">
        <span role="cell" class="loss">
          {lossOf(row)}
        </span>
      </div>
    );
  }
  const time = timeOfRow(row);
  const press = (event) => {
    if (!event.target.closest("a, button") && !getSelection().toString()) toggle();
  };
  return (
    <div {...place} class={`event ${isOpen ? "open" : ""}`} onClick={press}>
      <span role="cell" class="opener">
        <button
          type="button"
          class="button plain"
          aria-expanded={isOpen}
          aria-label={`Details of event ${row.index}`}
          onClick={toggle}
        >
          <svg width="10" height="10" viewBox="0 0 10 10" aria-hidden="true">
            <path d="M3 1l4 4-4 4" />
          </svg>
        </button>
      </span>
      <span role="cell" class="time">
        {time === null ? (
          <span class="muted">{"\u2013"}</span>
        ) : (
          <time title={`${new Date(time).toISOString()}`}>{moment(time)}</time>
        )}
      </span>
      <span role="cell" class="action">
        <span class={`tag ${tagOf(row.action)}`}>{row.action}</span>
      </span>
      <span role="cell" class="key mono">
        <a href={addressOf("keys", row.key)}>{visible(row.key)}</a>
      </span>
      <span role="cell" class="value">
        {previewOf(row)}
      </span>
      <span role="cell" class="ttl number">
        {row.ttl === undefined ? "" : duration(row.ttl)}
      </span>
      <span role="cell" class="index number">
        {row.index}
      </span>
    </div>
  );
}

/** What of the box is seen: `{ top, height }`. */
function useScroll(box) {
  const [seen, setSeen] = useState({ top: 0, height: 600 });
  useEffect(() => {
    const it = box.current;
    const look = () => setSeen({ top: it.scrollTop, height: it.clientHeight });
    const observer = new ResizeObserver(look);
    observer.observe(it);
    it.addEventListener("scroll", look, { passive: true });
    return () => {
      observer.disconnect();
      it.removeEventListener("scroll", look);
    };
  }, []);
  return seen;
}

/** Whoever has scrolled away from the newest stays at the rows that they look at. */
function useAnchor(box, rows, height) {
  const newest = useRef(rows[0]?.id);
  useLayoutEffect(() => {
    const before = newest.current;
    newest.current = rows[0]?.id;
    if (box.current.scrollTop === 0 || before === newest.current) return;
    const come = rows.findIndex((row) => row.id === before);
    if (come > 0) box.current.scrollTop += come * height;
  }, [rows]);
}

const HEADS = ["", "Time", "Action", "Key", "Value", "TTL", "Index"];

export function List({ rows }) {
  const box = useRef(null);
  const detail = useRef(null);
  const height = useNarrow(700) ? ROW_PHONE : ROW;
  const [open, setOpen] = useState(null);
  const [detailHeight, setDetailHeight] = useState(0);
  const { top, height: seen } = useScroll(box);
  useAnchor(box, rows, height);
  const openAt = open === null ? -1 : rows.findIndex((row) => row.id === open);
  useLayoutEffect(() => {
    if (!detail.current) return setDetailHeight(0);
    const observer = new ResizeObserver(([entry]) =>
      setDetailHeight(Math.ceil(entry.borderBoxSize[0].blockSize)),
    );
    observer.observe(detail.current);
    return () => observer.disconnect();
  }, [openAt >= 0, open]);
  const isBelow = (at) => openAt >= 0 && at > openAt;
  const topOf = (at) => at * height + (isBelow(at) ? detailHeight : 0);
  const first = Math.max(0, Math.floor((top - detailHeight) / height) - MORE);
  const last = Math.min(rows.length, Math.ceil((top + seen) / height) + MORE);
  return (
    <div
      class="scroller"
      role="table"
      aria-label="Events, newest first"
      aria-rowcount={rows.length + 1}
    >
      <div class="event heads" role="row" aria-rowindex={1}>
        {HEADS.map((name) => (
          <span key={name} role="columnheader" class={name.toLowerCase()}>
            {name || <span class="visually-hidden">Details</span>}
          </span>
        ))}
      </div>
      <div class="box" role="rowgroup" ref={box} tabIndex={0} aria-label="Events">
        <div
          class="tall"
          role="presentation"
          style={{ height: `${rows.length * height + detailHeight}px` }}
        >
          {rows.slice(first, last).map((row, number) => {
            const at = first + number;
            const isOpen = at === openAt;
            const toggle = () => setOpen(isOpen ? null : row.id);
            return (
              <Row key={row.id} row={row} at={at} top={topOf(at)} isOpen={isOpen} toggle={toggle} />
            );
          })}
          {openAt >= 0 && (
            <div
              key={`detail ${open}`}
              class="detail"
              role="row"
              ref={detail}
              style={{ top: `${(openAt + 1) * height}px` }}
            >
              <div role="cell">
                <Detail row={rows[openAt]} />
              </div>
            </div>
          )}
        </div>
      </div>
    </div>
  );
}
