// Who uses the page: whether users count here, what they may do, and what a refusal means.

import { batch, computed, signal } from "@preact/signals";
import { call, onRefusal } from "../server/api.js";
import { authorization, basic, forget, remember, userName } from "../server/credentials.js";
import { settings } from "./settings.js";
import { say } from "./toasts.js";

/**
 * A request that is never carried out. The server looks at who asks before it reads what is asked,
 * and at rights only after that: wrong credentials are refused as such (401), and right ones get as
 * far as the index that is not a number, whatever their user may do.
 */
const PROBE = "/v2/keys/?wait=true&waitIndex=none";
const PROBE_CODE = 203;

/** Whether it is known yet if users count. */
export const isLookedAt = signal(false);
/** Whether users count. */
export const counts = signal(false);
/** Who is logged in; null for nobody. */
export const user = signal(null);
/** What `/v2/auth/whoami` says; null while users do not count or nothing is known. */
export const rights = signal(null);
/** The form that is open: `{ reason, name }`; null if none is. */
export const asked = signal(null);

/** Whether a guest has seen the form, and is not to be asked again without asking for it. */
let wasAsked = false;
let closed = Promise.resolve();
let close = () => {};

/** What the server says of credentials: true if they are right. */
async function areRight(proof, abort) {
  try {
    await call(PROBE, { as: proof, signal: abort });
  } catch (error) {
    if (error.isRefused) return false;
    if (error.status === 400 && error.code === PROBE_CODE) return true;
    throw error;
  }
  throw new Error("The server's answer makes no sense.");
}

/** A sentence with its full stop, whether it has come with one or not. */
function ended(text) {
  return text.endsWith(".") ? text : `${text}.`;
}

/** What a user has no right to, in words. */
function unallowed(method, path) {
  const url = new URL(path, location.origin);
  const [, name] = url.pathname.match(/^\/v2\/keys(\/.*)$/) ?? [];
  if (name === undefined) return "no right to do this: it takes the role root";
  const key = decodeURIComponent(name);
  const below = url.searchParams.get("recursive") === "true" ? " and everything below it" : "";
  return `no right to ${method === "GET" ? "read" : "change"} ${key}${below}`;
}

/** Asks whether users count, and what the one who is logged in may do. */
export async function lookAtUsers() {
  const { enabled } = await call("/v2/auth/enable", { as: null });
  if (!enabled) {
    forget();
    wasAsked = false;
  }
  const sent = authorization();
  const known = enabled ? await call("/v2/auth/whoami", { as: sent }).catch(() => null) : null;
  // Somebody else has logged in meanwhile, which is looked at on its own.
  if (authorization() !== sent) return;
  // At once, so that nothing is asked for that the rights forbid.
  batch(() => {
    counts.value = enabled;
    user.value = userName();
    rights.value = known;
    isLookedAt.value = true;
  });
}

/** The same, if users counted when they were last looked at. */
export async function lookAgain() {
  if (counts.value) await lookAtUsers();
}

/** Opens the form, unless it is open. */
export function ask(reason, name) {
  wasAsked = true;
  if (asked.value) return;
  closed = new Promise((resolve) => {
    close = resolve;
  });
  asked.value = { reason, name };
}

/** Closes the form: `name` has logged in, null for nobody. */
export function endAsking(name) {
  const wasKnown = asked.value?.name !== undefined;
  asked.value = null;
  if (name !== null) say(`Logged in as ${name}.`);
  close();
  if (name === null && !wasKnown) return;
  // Requests that have waited for this give their errors first: all is read anew after them.
  setTimeout(() => {
    user.value = userName();
    lookAtUsers().catch(() => {});
  });
}

export function logOut() {
  forget();
  // Whoever has just logged out does not want to be asked who they are.
  wasAsked = true;
  user.value = null;
  say("Logged out.");
  lookAtUsers().catch(() => {});
}

/** Logs in. Gives what is wrong, null if nothing is. */
export async function logIn(name, password, abort) {
  // The first colon ends the name in what is sent.
  if (name.includes(":")) return { text: "A name with a colon cannot log in." };
  const proof = basic(name, password);
  try {
    if (await areRight(proof, abort)) {
      if (!abort.aborted) remember(name, proof);
      return null;
    }
  } catch (error) {
    // Too many passwords at once, or no answer: it may be the right one.
    return { text: `The password was not checked. ${ended(error.message)}` };
  }
  return { text: "Wrong name or password.", isWrong: true };
}

/** Why a request of a user was refused. One whose password is wrong by now is asked for it. */
async function why(sent, name, what) {
  const gone = `The server no longer accepts the name and password of ${name}.`;
  if (sent !== authorization()) return `${name} is no longer logged in.`;
  try {
    if (await areRight(sent)) return `${name} has ${what}.`;
  } catch (error) {
    return `${name} has ${what}, or another password by now. ${ended(error.message)}`;
  }
  if (sent === authorization()) {
    forget();
    user.value = null;
    ask(gone, name);
  }
  return gone;
}

/**
 * A request was answered with 401: says why, and asks for a login where one is missing. Gives the
 * error once the form is closed. Nothing is sent again: whoever logs in may be somebody else.
 */
async function refused(error, { method, path, sent, user: name }) {
  if (path.startsWith("/v2/keys")) counts.value = true;
  else {
    await lookAtUsers().catch(() => {});
    // Without users it is the cluster's secret that is missing.
    if (!counts.value) return error;
  }
  const what = unallowed(method, path);
  if (!sent) {
    error.message = `Not logged in: ${what}.`;
    if (authorization() === null && !wasAsked) ask(error.message);
  } else {
    error.message = await why(sent, name, what);
  }
  await closed;
  return error;
}

/** Whether a pattern of a permission covers a key. */
export function covers(pattern, key) {
  return pattern.endsWith("*") ? key.startsWith(pattern.slice(0, -1)) : key === pattern;
}

/** Why the page may change nothing at all; null if it may. */
export const readOnlyReason = computed(() => {
  if (settings.value?.readOnly) return "This dashboard is read-only (-dashboard=read-only).";
  return null;
});

/** Why a key may not be changed by who uses the page; null if it may be. */
export function whyNotWrite(key) {
  if (readOnlyReason.value) return readOnlyReason.value;
  if (key === "/_etcd" || key.startsWith("/_etcd/"))
    return "The server keeps this directory itself.";
  const known = rights.value;
  if (!counts.value || !known || known.isRoot) return null;
  if (known.write.some((pattern) => covers(pattern, key))) return null;
  return `${known.user ?? "A guest"} has no right to change ${key}.`;
}

/** Why the cluster may not be changed by who uses the page; null if it may be. */
export const whyNotAdmin = computed(() => {
  if (readOnlyReason.value) return readOnlyReason.value;
  if (!counts.value || !rights.value || rights.value.isRoot) return null;
  const who = rights.value.user === null ? "Not logged in:" : `${rights.value.user} has`;
  return `${who} no right to do this: it takes the role root.`;
});

export function startSession() {
  onRefusal(refused);
  lookAtUsers().catch(() => {
    // The first refusal has it asked again.
    isLookedAt.value = true;
  });
}
