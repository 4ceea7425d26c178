// The server's API, and its errors in its own words. Every request of the page is sent here.

import { authorization, userName } from "./credentials.js";

/** An answer that is an error; `code` is the API's number, if it has one. */
export class ApiError extends Error {
  constructor(status, text) {
    let body = null;
    try {
      body = JSON.parse(text);
    } catch {
      // A sentence as it is.
    }
    const said = body?.message ?? (text.trim() || `the server answered ${status}`);
    super(body?.cause ? `${said}: ${body.cause}` : said);
    this.status = status;
    this.code = body?.errorCode;
    this.index = body?.index;
  }

  /** Whether it is for who asks that it was refused. */
  get isRefused() {
    return this.status === 401;
  }
}

/** No answer at all. */
export class NoAnswer extends Error {
  constructor() {
    super("This server is not responding.");
  }
}

let explain = (error) => error;

/**
 * Sets what is done with the error of a request that was refused for who asks: `explain(error,
 * { method, path, sent, user })` gives the error to throw. `sent` is the header that was sent.
 */
export function onRefusal(explanation) {
  explain = explanation;
}

/**
 * Sends a request as the user who is logged in, to this page's own server. With `as` it is sent
 * with that header, null for none, and a refusal is not explained.
 */
async function request(path, { method = "GET", form, json, signal, as } = {}) {
  let body;
  const headers = {};
  const isOwn = as === undefined;
  const [sent, user] = isOwn ? [authorization(), userName()] : [as, null];
  if (sent !== null) headers.Authorization = sent;
  if (form) body = new URLSearchParams(Object.entries(form).filter(([, value]) => value !== undefined));
  if (json) [body, headers["Content-Type"]] = [JSON.stringify(json), "application/json"];
  // Not relative to the page, whose address may have a name and a password in it.
  const address = location.origin + path;
  let answer;
  try {
    answer = await fetch(address, { method, body, headers, signal, cache: "no-store" });
  } catch (error) {
    throw error.name === "AbortError" ? error : new NoAnswer();
  }
  if (answer.ok) return answer;
  const error = new ApiError(answer.status, await answer.text());
  throw error.isRefused && isOwn ? await explain(error, { method, path, sent, user }) : error;
}

/** Asks, and gives the answer's JSON; nothing if it is empty. */
export async function call(path, options) {
  const text = await (await request(path, options)).text();
  return text ? JSON.parse(text) : null;
}

/** Asks, and gives the answer's text. */
export async function callText(path, options) {
  return (await request(path, options)).text();
}

/** The path of a key in the API. */
export function keyPath(key) {
  return `/v2/keys${key.split("/").map(encodeURIComponent).join("/")}`;
}

/** The name at a key's end. */
export function nameOf(key) {
  return key.slice(key.lastIndexOf("/") + 1);
}

/** The directory that a key is in; "/" for the topmost. */
export function parentOf(key) {
  return key.slice(0, key.lastIndexOf("/")) || "/";
}

/** A key in a directory. */
export function childOf(dir, name) {
  return dir === "/" ? `/${name}` : `${dir}/${name}`;
}

/** Splits JSON objects that follow one another, as a stream of events sends them. */
export class Splitter {
  #text = "";
  #depth = 0;
  #quoted = false;
  #escaped = false;

  /** Takes more text in, and gives the objects that are complete. */
  push(text) {
    const found = [];
    let start = 0;
    const before = this.#text.length;
    this.#text += text;
    for (let at = before; at < this.#text.length; at += 1) {
      const letter = this.#text[at];
      if (this.#escaped) this.#escaped = false;
      else if (this.#quoted) {
        if (letter === "\\") this.#escaped = true;
        else if (letter === '"') this.#quoted = false;
      } else if (letter === '"') this.#quoted = true;
      else if (letter === "{") this.#depth += 1;
      else if (letter === "}") {
        this.#depth -= 1;
        if (this.#depth === 0) {
          found.push(JSON.parse(this.#text.slice(start, at + 1)));
          start = at + 1;
        }
      }
    }
    this.#text = this.#text.slice(start);
    return found;
  }
}

/**
 * Follows the events below a directory until `signal` ends it, over broken connections too, or
 * until the server refuses. Calls `onEvent` with each, and `onState` with a sentence whenever the
 * connection changes. `passed(since)` gives an index that all events up to have come of, on a
 * connection that is there since then (`performance.now()`).
 */
export async function follow(dir, { signal, onEvent, onState, passed }) {
  let next = 0;
  let since = Infinity;
  const base = `${keyPath(dir)}?wait=true&recursive=true&stream=true`;
  while (!signal.aborted) {
    try {
      const answer = await request(next ? `${base}&waitIndex=${next}` : base, { signal });
      since = performance.now();
      onState("Connected: waiting for events.");
      if (!next) next = Number(answer.headers.get("X-Etcd-Index")) + 1 || 0;
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      const splitter = new Splitter();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        for (const event of splitter.push(value)) {
          if (event.errorCode) throw new ApiError(400, JSON.stringify(event));
          next = Math.max(next, (event.node.modifiedIndex ?? 0) + 1);
          onEvent(event);
        }
      }
      onState("The server closed the stream. Reconnecting.");
    } catch (error) {
      if (error.name === "AbortError" || signal.aborted) return;
      if (error instanceof TypeError) error.message = "The connection broke.";
      if (error.isRefused) {
        onState(`${error.message} Not following.`);
        return;
      }
      if (error.code === 401) {
        onState("Some events are missing: the history is too short. Continuing with new ones.");
        next = 0;
      } else {
        onState(`${error.message} Reconnecting.`);
      }
    }
    // Few events may have come while the index went far beyond the history.
    if (next) next = Math.max(next, passed(since) + 1);
    since = Infinity;
    await new Promise((resolve) => { setTimeout(resolve, 1000); });
  }
}
