// Keys and their names: their order, and what is in what.

/** The order that the server lists names in: by code points, where a script compares halves. */
export function compareNames(one, other) {
  const [left, right] = [Array.from(one), Array.from(other)];
  for (let at = 0; at < Math.min(left.length, right.length); at += 1) {
    if (left[at] !== right[at]) return left[at].codePointAt(0) - right[at].codePointAt(0);
  }
  return left.length - right.length;
}

/** What a key in a directory begins with. */
export function baseOf(dir) {
  return dir === "/" ? "/" : `${dir}/`;
}

/** Whether a key is a directory's own, or below it. */
export function isWithin(key, dir) {
  return key === dir || key.startsWith(baseOf(dir));
}

/** The names on the way from a directory to a key below it. */
export function namesFrom(dir, key) {
  return key.slice(baseOf(dir).length).split("/");
}

/** Whether the server leaves a name out of listings. */
export function isHidden(name) {
  return name.startsWith("_");
}

/** The directories on the way to a key, from the top. */
export function wayTo(key) {
  const names = key.split("/").slice(1, -1);
  return ["/", ...names.map((_, at) => `/${names.slice(0, at + 1).join("/")}`)].slice(
    0,
    key === "/" ? 0 : undefined,
  );
}

/** Whether an action takes a node away. */
export function isEnd(action) {
  return action === "delete" || action === "expire" || action === "compareAndDelete";
}

const encoder = new TextEncoder();

/** Bytes of a value, of which only the beginning may be there; undefined for a directory. */
export function sizeOf(node) {
  if (node.value === undefined) return node.valueBytes;
  return node.valueBytes ?? encoder.encode(node.value).length;
}

/** The seconds that a node has left, at least one; undefined if it does not expire. */
export function secondsLeft(node) {
  if (!node.expiration) return node.ttl;
  return Math.max(1, Math.ceil((Date.parse(node.expiration) - Date.now()) / 1000));
}
