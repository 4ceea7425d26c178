// The difference of two values, by lines or by words, bounded in time and size.

/** Cells of the table that are filled at most; larger values are shown one after the other. */
const CELLS_MAX = 400_000;

/** Parts that are compared as wholes: lines where there are several, else words. */
function partsOf(before, after) {
  const isLong = before.includes("\n") || after.includes("\n");
  const split = isLong ? /(?<=\n)/ : /(?<=[^\p{L}\p{N}_])|(?=[^\p{L}\p{N}_])/u;
  return [before, after].map((text) => (text === "" ? [] : text.split(split)));
}

/** The longest common subsequence of the middles, as kinds of parts. */
function middle(a, b) {
  if (a.length * b.length > CELLS_MAX) {
    return [
      ...a.map((text) => ({ kind: "gone", text })),
      ...b.map((text) => ({ kind: "come", text })),
    ];
  }
  const lengths = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      lengths[i][j] =
        a[i] === b[j] ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  const found = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      found.push({ kind: "same", text: a[i] });
      [i, j] = [i + 1, j + 1];
    } else if (j >= b.length || (i < a.length && lengths[i + 1][j] >= lengths[i][j + 1])) {
      found.push({ kind: "gone", text: a[i] });
      i += 1;
    } else {
      found.push({ kind: "come", text: b[j] });
      j += 1;
    }
  }
  return found;
}

/** Parts `{ kind, text }` in order; `kind` is "same", "gone" or "come". */
export function difference(before, after) {
  const [a, b] = partsOf(before, after);
  const most = Math.min(a.length, b.length);
  let first = 0;
  while (first < most && a[first] === b[first]) first += 1;
  let last = 0;
  while (last < most - first && a[a.length - 1 - last] === b[b.length - 1 - last]) last += 1;
  const all = [
    ...a.slice(0, first).map((text) => ({ kind: "same", text })),
    ...middle(a.slice(first, a.length - last), b.slice(first, b.length - last)),
    ...a.slice(a.length - last).map((text) => ({ kind: "same", text })),
  ];
  const joined = [];
  for (const part of all) {
    const latest = joined[joined.length - 1];
    if (latest?.kind === part.kind) latest.text += part.text;
    else joined.push({ ...part });
  }
  return joined;
}
