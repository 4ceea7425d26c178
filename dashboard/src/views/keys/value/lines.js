// Which lines of a text another does not have.

/** Cells of the table that are filled at most; of larger texts all in the middle are marked. */
const CELLS_MAX = 4_000_000;

/** Lines of `after`, by number from 0, that are not those of `before` in their order. */
export function lineMarks(before, after) {
  const [a, b] = [before.split("\n"), after.split("\n")];
  let first = 0;
  while (first < a.length && first < b.length && a[first] === b[first]) first += 1;
  let last = 0;
  const most = Math.min(a.length, b.length) - first;
  while (last < most && a.at(-1 - last) === b.at(-1 - last)) last += 1;
  const [gone, come] = [a.slice(first, a.length - last), b.slice(first, b.length - last)];
  const marks = new Set();
  if ((gone.length + 1) * (come.length + 1) > CELLS_MAX) {
    for (let at = 0; at < come.length; at += 1) marks.add(first + at);
    return marks;
  }
  // longest[i][j]: the longest common part of what follows line i of one and line j of the other.
  const longest = Array.from({ length: gone.length + 1 }, () => new Uint32Array(come.length + 1));
  for (let i = gone.length - 1; i >= 0; i -= 1) {
    for (let j = come.length - 1; j >= 0; j -= 1) {
      longest[i][j] =
        gone[i] === come[j]
          ? longest[i + 1][j + 1] + 1
          : Math.max(longest[i + 1][j], longest[i][j + 1]);
    }
  }
  let [i, j] = [0, 0];
  while (j < come.length) {
    if (i < gone.length && gone[i] === come[j]) {
      i += 1;
      j += 1;
    } else if (i < gone.length && longest[i + 1][j] >= longest[i][j + 1]) {
      i += 1;
    } else {
      marks.add(first + j);
      j += 1;
    }
  }
  return marks;
}
