// Which lines differ between two strings.

import { h } from "./dom.js";

/** Cells of the table that are filled at most; larger values are shown one after the other. */
const CELLS_MAX = 4_000_000;

/** Pairs of a mark, " ", "-" or "+", and a line. */
export function lineDiff(before, after) {
  const [a, b] = [before.split("\n"), after.split("\n")];
  if ((a.length + 1) * (b.length + 1) > CELLS_MAX) {
    return [...a.map((line) => ["-", line]), ...b.map((line) => ["+", line])];
  }
  // lengths[i][j]: the longest common part of what follows line i of one and line j of the other.
  const lengths = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      lengths[i][j] = a[i] === b[j] ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  const lines = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push([" ", a[i]]);
      i += 1;
      j += 1;
    } else if (j >= b.length || (i < a.length && lengths[i + 1][j] >= lengths[i][j + 1])) {
      lines.push(["-", a[i]]);
      i += 1;
    } else {
      lines.push(["+", b[j]]);
      j += 1;
    }
  }
  return lines;
}

/** The difference as a table of lines. */
export function diffView(before, after) {
  const kinds = { "-": ["removed", "theirs"], "+": ["added", "mine"], " ": ["same", "both"] };
  const rows = lineDiff(before, after).map(([mark, line]) => h("tr", { class: kinds[mark][0] },
    h("td", { class: "mark" }, kinds[mark][1]), h("td", {}, h("code", {}, line || " "))));
  return h("div", { class: "diff", tabindex: "0", role: "region", "aria-label": "Difference of the two values" },
    h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "In"), h("th", { scope: "col" }, "Line"))), h("tbody", {}, ...rows)));
}

/**
 * A text that was edited where all line ends are one newline, with the line ends that it had
 * before: lines that were not touched keep theirs, new ones have that of the line before them.
 */
export function withLineEnds(before, edited) {
  const ends = before.match(/\r\n|\r|\n/g) ?? [];
  if (!before.includes("\r")) return edited;
  const [old, now] = [before.split(/\r\n|\r|\n/), edited.split("\n")];
  const most = Math.min(old.length, now.length);
  let first = 0;
  while (first < most && old[first] === now[first]) first += 1;
  let last = 0;
  while (last < most - first && old.at(-1 - last) === now.at(-1 - last)) last += 1;
  const [gone, come] = [old.slice(first, old.length - last), now.slice(first, now.length - last)];
  const marks = gone.length ? lineDiff(gone.join("\n"), come.join("\n"))
    : come.map((line) => ["+", line]);
  const kept = ends.slice(0, first);
  let at = first;
  for (const [mark] of come.length ? marks : []) {
    if (mark !== "-") kept.push((mark === " " && ends[at]) || ends[Math.max(0, at - 1)]);
    if (mark !== "+") at += 1;
  }
  kept.push(...ends.slice(old.length - last));
  const end = (index) => (index < now.length - 1 ? kept[index] ?? ends[0] : "");
  return now.map((line, index) => line + end(index)).join("");
}
