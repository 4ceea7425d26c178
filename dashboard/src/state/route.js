// What the address names: `#/VIEW/PLACE?QUERY`. Every place of the page has an address.

import { batch, signal } from "@preact/signals";
import { mayLeave, mustAsk } from "./leaving.js";

/** The view's name, the place in it (always with "/" before it), and what is behind "?". */
export const view = signal("cluster");
export const place = signal("/");
export const query = signal(new URLSearchParams());

/** Where each view was left, by its name. */
const left = new Map();
/** The hash that is shown, and its place among the steps of Back and Forward. */
let shown = location.hash;
let at = 0;
let isTravelling = false;

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    // An address that somebody typed: taken as it stands.
    return part;
  }
}

function read() {
  shown = location.hash;
  const [path, words = ""] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [name, ...rest] = path.split("/");
  batch(() => {
    view.value = name || "cluster";
    place.value = `/${rest
      .filter((part) => part !== "")
      .map(decoded)
      .join("/")}`;
    query.value = new URLSearchParams(words);
  });
  left.set(view.value, location.hash);
}

/** The address at which a view was left; its first place, if it has not been shown yet. */
export function lastAddress(name) {
  return left.get(name) ?? `#/${name}`;
}

/** The address of a place; `words` are the query, of which empty ones are left out. */
export function addressOf(name, where = "/", words = {}) {
  const path = where.split("/").map(encodeURIComponent).join("/");
  const given = Object.entries(words).filter(([, value]) => value !== undefined && value !== "");
  const rest = given.length ? `?${new URLSearchParams(given)}` : "";
  return `#/${name}${path === "/" ? "" : path}${rest}`;
}

/**
 * Goes to an address; what is not saved is asked about first. `isStep` is on the way to another
 * place: Back leads to where the steps began.
 */
export function goTo(address, { isStep = false } = {}) {
  if (location.hash === address) return;
  if (!isStep || mustAsk()) {
    location.hash = address;
    return;
  }
  mayLeave();
  history.replaceState(history.state, "", address);
  read();
}

/** Changes the query of the present address without a step for Back. */
export function setQuery(changes) {
  const words = { ...Object.fromEntries(query.value), ...changes };
  history.replaceState(history.state, "", addressOf(view.value, place.value, words));
  read();
}

/** Goes so many steps in the history, without showing what is there. */
async function travel(steps) {
  if (steps === 0) return;
  const there = new Promise((resolve) => {
    addEventListener("popstate", resolve, { once: true });
  });
  isTravelling = true;
  history.go(steps);
  await there;
  isTravelling = false;
}

async function changed() {
  if (isTravelling) return;
  const wanted = history.state?.at ?? at + 1;
  if (history.state === null) history.replaceState({ at: wanted }, "");
  if (location.hash !== shown) {
    if (mustAsk()) {
      // Back where the edit is, until it is known whether it may be left.
      await travel(at - wanted);
      if (!(await mayLeave())) return;
      await travel(wanted - at);
    } else {
      await mayLeave();
    }
  }
  at = wanted;
  read();
}

/** Reads the address now, and whenever it changes. */
export function startRoute() {
  at = history.state?.at ?? 0;
  history.replaceState({ at }, "");
  addEventListener("popstate", changed);
  read();
}
