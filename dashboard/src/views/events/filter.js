// Which events are shown.

/** Actions of events, as the server names them. */
export const ACTIONS = [
  "set",
  "create",
  "update",
  "delete",
  "expire",
  "compareAndSwap",
  "compareAndDelete",
];

/** Whether a pattern with `*` and `?` covers a text, in steps of at most their lengths' product. */
function covers(pattern, text) {
  let [at, from, star, mark] = [0, 0, -1, 0];
  while (from < text.length) {
    if (pattern[at] === "*") [star, mark, at] = [at, from, at + 1];
    else if (at < pattern.length && (pattern[at] === "?" || pattern[at] === text[from]))
      [at, from] = [at + 1, from + 1];
    else if (star >= 0) [mark, at, from] = [mark + 1, star + 1, mark + 1];
    else return false;
  }
  while (pattern[at] === "*") at += 1;
  return at === pattern.length;
}

/** A text without `*` and `?` is looked for anywhere; a pattern covers a whole key, or its name. */
function matcher(text) {
  const wanted = text.toLowerCase();
  if (!/[*?]/.test(text)) return (key) => key.toLowerCase().includes(wanted);
  return (key) => {
    const lower = key.toLowerCase();
    return covers(wanted, lower) || covers(wanted, lower.slice(lower.lastIndexOf("/") + 1));
  };
}

function isHidden(key) {
  return key.split("/").some((name) => name.startsWith("_"));
}

/** Whether a filter lets rows through: `{ key, action, text, hidden, dir }`; empty ones let all. */
export function filterOf({ key, action, text, hidden, dir }) {
  const isWanted = key ? matcher(key) : () => true;
  const wanted = text?.toLowerCase();
  const below = dir === "/" ? 0 : dir.length;
  const isShown = (row) => {
    // What was lost is told whatever is looked for.
    if (row.isLost || row.isDropped) return true;
    if (action && row.action !== action) return false;
    if (!hidden && isHidden(row.key.slice(below))) return false;
    if (!isWanted(row.key)) return false;
    if (!wanted) return true;
    return [row.value, row.before].some((value) => value?.toLowerCase().includes(wanted));
  };
  // A row is looked at once, however often the list is drawn.
  const known = new WeakMap();
  return (row) => {
    if (!known.has(row)) known.set(row, isShown(row));
    return known.get(row);
  };
}
