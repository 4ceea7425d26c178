// Moments, in the reader's own way of writing and time zone, with UTC beside.

import { now } from "../state/health.js";
import { zone } from "../state/settings.js";
import { duration } from "./words.js";

const DAY_MS = 86_400_000;

/** A moment in milliseconds, with the date where it is not of today. */
export function moment(ms, { exact = false } = {}) {
  const timeZone = zone.value === "utc" ? "UTC" : undefined;
  const isOld = exact || Math.abs(Date.now() - ms) > DAY_MS / 2;
  const date = isOld ? { year: "numeric", month: "2-digit", day: "2-digit" } : {};
  const time = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  const precise = exact ? { fractionalSecondDigits: 3 } : {};
  return new Date(ms).toLocaleString(undefined, { ...date, ...time, ...precise, timeZone });
}

/** The moment, with UTC and the whole date in its tooltip. */
export function Time({ ms, exact = false }) {
  if (ms === null || ms === undefined) return <span class="muted">unknown</span>;
  const utc = new Date(ms).toISOString();
  return (
    <time dateTime={utc} title={`${utc.replace("T", " ").replace("Z", "")} UTC`}>
      {moment(ms, { exact })}
    </time>
  );
}

/** How long ago a moment was; it goes on by itself. */
export function Ago({ ms }) {
  if (ms === null || ms === undefined) return <span class="muted">unknown</span>;
  const utc = new Date(ms).toISOString();
  const seconds = (Math.max(now.value, Date.now()) - ms) / 1000;
  return (
    <time dateTime={utc} title={`${moment(ms, { exact: true })} (${utc} UTC)`}>
      {duration(seconds)}
    </time>
  );
}

/** How long it is until a moment, in milliseconds. */
export function Until({ ms }) {
  const seconds = (ms - Math.min(now.value, Date.now())) / 1000;
  const utc = new Date(ms).toISOString();
  return (
    <time dateTime={utc} title={`${moment(ms, { exact: true })} (${utc} UTC)`}>
      {duration(Math.max(0, seconds))}
    </time>
  );
}
