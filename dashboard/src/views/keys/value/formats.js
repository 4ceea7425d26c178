// The ways in which a value can be looked at.

/** What a byte that is not text was made into when it was written. */
const REPLACED = "\ufffd";
const HEX_WIDTH = 16;

function parsed(value) {
  const start = value.trimStart()[0];
  if (start !== "{" && start !== "[") return null;
  try {
    return JSON.parse(value);
  } catch {
    return null;
  }
}

function isYaml(value) {
  const lines = value.split("\n", 40).filter((line) => line.trim() && !line.startsWith("#"));
  if (lines.length < 2) return false;
  return (
    lines.every((line) => /^(\s*- |\s*[\w."'/-]+:(\s|$)|---|\s+\S)/.test(line)) &&
    lines.some((line) => /^[\w."'/-]+:(\s|$)/.test(line))
  );
}

/** Whether a value holds bytes that no text has. */
export function isBinary(value) {
  return value.includes(REPLACED) || /[\0-\x08\x0e-\x1a\x1c-\x1f]/.test(value);
}

/** Whether bytes were lost when the value was written: then it is not edited as a text. */
export function isDamaged(value) {
  return value.includes(REPLACED);
}

/** What a value is: "json", "yaml", "hex" for what is no text, "text". */
export function kindOf(value) {
  if (isBinary(value)) return "hex";
  if (parsed(value) !== null) return "json";
  return isYaml(value) ? "yaml" : "text";
}

/**
 * JSON, indented by its letters alone: numbers, names that are there twice and their order stay as
 * they are written, which they would not if it were read and written again.
 */
export function indented(value) {
  let out = "";
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  const mark = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/gs;
  let before = "";
  for (const [token] of value.matchAll(mark)) {
    if (token === "}" || token === "]") {
      depth -= 1;
      out += before === "{" || before === "[" ? token : line() + token;
    } else {
      if (before === "{" || before === "[" || before === ",") out += line();
      out += token === ":" ? ": " : token;
      if (token === "{" || token === "[") depth += 1;
    }
    before = token;
  }
  return out;
}

/** Bytes in lines of sixteen, with where they are and the letters they would be. */
export function hex(value) {
  const bytes = new TextEncoder().encode(value);
  const digits = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
  const letters = Array.from({ length: 256 }, (_, byte) =>
    byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ".",
  );
  const lines = [];
  for (let at = 0; at < bytes.length; at += HEX_WIDTH) {
    const row = bytes.subarray(at, at + HEX_WIDTH);
    let numbers = "";
    let text = "";
    for (const [place, byte] of row.entries()) {
      numbers += `${place === 8 ? "  " : " "}${digits[byte]}`;
      text += letters[byte];
    }
    lines.push(`${at.toString(16).padStart(8, "0")} ${numbers.padEnd(HEX_WIDTH * 3 + 1)}  ${text}`);
  }
  return lines.join("\n");
}

/** The value's bytes in base64, in lines of 76 letters. */
export function base64(value) {
  const bytes = new TextEncoder().encode(value);
  let text = "";
  for (let at = 0; at < bytes.length; at += 57 * 200) {
    const part = String.fromCharCode(...bytes.subarray(at, at + 57 * 200));
    text += btoa(part).replace(/.{76}/g, "$&\n");
  }
  return text.trimEnd();
}

/** The text that a value is in base64; null where it is none. */
export function decoded(value) {
  const letters = value.replace(/\s/g, "");
  if (letters.length < 8 || letters.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(letters))
    return null;
  try {
    const bytes = Uint8Array.from(atob(letters), (letter) => letter.charCodeAt(0));
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** The formats that a value has: `[name, label]`. */
export function formatsOf(value) {
  const kind = kindOf(value);
  return [
    ["auto", "Automatic"],
    kind === "json" && ["json", "JSON, indented"],
    ["raw", kind === "json" ? "JSON, raw" : "Text"],
    ["yaml", "YAML"],
    ["hex", "Hex"],
    ["base64", "Base64"],
    decoded(value) !== null && ["decoded", "Base64, decoded"],
  ].filter(Boolean);
}

/** A value in a format: `{ text, language }`. */
export function shownAs(value, format) {
  const kind = kindOf(value);
  const wanted = format === "auto" ? kind : format;
  if (wanted === "json" && kind === "json") return { text: indented(value), language: "json" };
  if (wanted === "yaml") return { text: value, language: "yaml" };
  if (wanted === "hex") return { text: hex(value) };
  if (wanted === "base64") return { text: base64(value) };
  if (wanted === "decoded") {
    const text = decoded(value) ?? value;
    const inner = kindOf(text);
    return inner === "hex" ? { text: hex(text) } : { text, language: inner };
  }
  return { text: value, language: kind === "json" ? "json" : undefined };
}

/** What is wrong with a text as JSON; null if nothing is. */
export function jsonFault(text) {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return error.message;
  }
}
