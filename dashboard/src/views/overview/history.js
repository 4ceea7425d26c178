// What the machine behind the page counted in the last hour: kept here while the reader looks
// elsewhere, and asked for from the server again from where it ended.

import { signal } from "@preact/signals";
import { call, POLL } from "../../server/api.js";

const LOOK_MS = 5000;
const PATIENCE_MS = 10_000;
/** The spans of time that can be shown. */
export const SPANS = {
  fine: { label: "10 min", words: "the last 10 minutes", step: 5, rows: 120 },
  coarse: { label: "1 hour", words: "the last hour", step: 60, rows: 60 },
};

/** `{ columns, fine: { step, end, rows }, coarse }`; null until the first answer. */
export const history = signal(null);
/** Why there is none; null if there is or if it is on its way. */
export const historyError = signal(null);

/**
 * Rows that were there, and those that have come: `end` is the end of the last, in milliseconds.
 */
function joined(before, come) {
  if (!before || before.step !== come.step || before.end > come.end) return come;
  if (!come.rows.length) return before;
  // The server gave what ended after the last row that was there; what it does not know is empty.
  const steps = Math.round((come.end - before.end) / (come.step * 1000));
  const fresh = Math.min(steps, come.rows.length);
  const most = come.step === SPANS.fine.step ? SPANS.fine.rows : SPANS.coarse.rows;
  const gap = Array.from({ length: Math.min(most, steps - fresh) }, () => []);
  const rows = [...before.rows, ...gap, ...come.rows.slice(come.rows.length - fresh)];
  return { ...come, rows: rows.slice(-most) };
}

async function ask() {
  const before = history.value;
  const since = before ? Math.min(before.fine.end, before.coarse.end) : 0;
  const path = `/v2/stats/history${since ? `?since=${since}` : ""}`;
  const come = await call(path, {
    as: null,
    headers: POLL,
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  const isSame = before && before.columns.join() === come.columns.join();
  history.value = isSame
    ? { ...come, fine: joined(before.fine, come.fine), coarse: joined(before.coarse, come.coarse) }
    : come;
  historyError.value = null;
}

/** Asks now and again until the function that it gives is called. */
export function followHistory() {
  let isOver = false;
  let timer = 0;
  const look = async () => {
    if (!document.hidden)
      await ask().catch((error) => {
        historyError.value = error;
      });
    if (!isOver) timer = setTimeout(look, LOOK_MS);
  };
  look();
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}

/** The columns of a span as series: `{ times, column(name) }`; times are UNIX seconds. */
export function columnsOf(kind) {
  const { step, end, rows } = history.value[kind];
  const most = SPANS[kind].rows;
  const shown = rows.slice(-most);
  const missing = most - shown.length;
  const last = end / 1000;
  const times = Array.from({ length: most }, (_, at) => last - (most - 1 - at) * step);
  return {
    times,
    column(name) {
      const at = history.value.columns.indexOf(name);
      return [...Array(missing).fill(null), ...shown.map((row) => row[at] ?? null)];
    },
  };
}
