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
    this.cause = body?.cause;
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
 * with that header, null for none, and a refusal is not explained. With `anyStatus` no status is an
 * error.
 */
export async function request(path, options = {}) {
  const { method = "GET", form, json, signal, as, anyStatus, headers: given } = options;
  let body;
  const headers = { ...given };
  const isOwn = as === undefined;
  const [sent, user] = isOwn ? [authorization(), userName()] : [as, null];
  if (sent !== null) headers.Authorization = sent;
  if (form)
    body = new URLSearchParams(Object.entries(form).filter(([, value]) => value !== undefined));
  if (json) [body, headers["Content-Type"]] = [JSON.stringify(json), "application/json"];
  // Not relative to the page, whose address may have a name and a password in it.
  const address = location.origin + path;
  let answer;
  try {
    answer = await fetch(address, { method, body, headers, signal, cache: "no-store" });
  } catch (error) {
    throw error.name === "AbortError" ? error : new NoAnswer();
  }
  if (answer.ok || anyStatus) return answer;
  const error = new ApiError(answer.status, await answer.text());
  throw error.isRefused && isOwn ? await explain(error, { method, path, sent, user }) : error;
}

/** Has the server leave a request of its own accord out of what it counts for charts. */
export const POLL = { "X-Stead-Dashboard": "poll" };

/** Asks, and gives the answer's JSON; nothing if it is empty. */
export async function call(path, options) {
  const text = await (await request(path, options)).text();
  return text ? JSON.parse(text) : null;
}

/** Asks, and gives the answer's JSON with the index of the store that it was read at. */
export async function callAt(path, options) {
  const answer = await request(path, options);
  const index = Number(answer.headers.get("X-Etcd-Index")) || 0;
  return { index, body: await answer.json() };
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
