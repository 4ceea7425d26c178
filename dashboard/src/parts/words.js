// How names, numbers and times are written.

/** Cannot be seen, or changes how what is around it is drawn. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\u115f\u1160\u2800\u3164\uffa0]|(?! )\p{Zs}/gu;
/** Spaces that begin or end a name. */
const EDGES = /(?<=^|\/) +| +(?=\/|$)/g;

function escaped(letter) {
  return `\\u{${letter.codePointAt(0).toString(16)}}`;
}

/** A sentence, in which no name can do anything to how the rest is drawn. */
export function sentence(text) {
  return text.replace(UNSEEN, escaped);
}

/** A name or key as it can be seen: what cannot be seen in it is escaped. */
export function visible(name) {
  return sentence(name).replace(EDGES, (spaces) => escaped(" ").repeat(spaces.length));
}

/** A whole number with its thousands apart, as the reader writes it; a dash where it is unknown. */
export function count(number) {
  return number === null || number === undefined ? "\u2013" : number.toLocaleString();
}

/** A word for one or for several: `plural(2, "key")` is "2 keys". */
export function plural(number, one, several = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : several}`;
}

/** A number to three digits. */
export function rate(number) {
  if (number === null || number === undefined) return "\u2013";
  return number.toLocaleString(undefined, { maximumSignificantDigits: 3 });
}

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** Bytes in the unit that fits. */
export function bytes(number) {
  if (number === null || number === undefined) return "\u2013";
  let [left, unit] = [number, 0];
  while (left >= 1000 && unit < UNITS.length - 1) [left, unit] = [left / 1000, unit + 1];
  return `${rate(left)} ${UNITS[unit]}`;
}

/** Seconds in the unit that fits, for latencies. */
export function latency(seconds) {
  if (seconds === null || seconds === undefined) return "\u2013";
  if (seconds < 0.001) return `${rate(seconds * 1e6)} \u00b5s`;
  return seconds < 1 ? `${rate(seconds * 1000)} ms` : `${rate(seconds)} s`;
}

/** Seconds in words of at most two units. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "\u2013";
  let left = Math.max(0, Math.floor(seconds));
  const units = [
    [86400, "d"],
    [3600, "h"],
    [60, "min"],
    [1, "s"],
  ];
  const words = [];
  for (const [size, name] of units) {
    if (left >= size || (size === 1 && words.length === 0)) {
      words.push(`${Math.floor(left / size)} ${name}`);
      left %= size;
    }
    if (words.length === 2) break;
  }
  return words.join(" ");
}

/** The path of a key as a curl line, for the machine behind the page. */
export function quoted(text) {
  return /^[\w@%+=:,./?&-]+$/.test(text) && !/[?&]/.test(text)
    ? text
    : `'${text.replaceAll("'", `'\\''`)}'`;
}
