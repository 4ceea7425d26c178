// The locks that the server keeps, read again when an event says that they have changed.

import { effect, signal } from "@preact/signals";
import { list, NOT_FOUND, walk } from "../../server/keys.js";
import { nameOf } from "../../server/api.js";
import { alsoFollow, onEvents } from "../../state/live.js";
import { seenAt, isSilent } from "../../state/health.js";
import { counts, rights, user } from "../../state/session.js";

/** The directory under which a lock's name begins. */
export const DIR = "/_etcd/mod/lock";
/** Nodes that are looked at; more are told of. */
const NODES_MAX = 20_000;
const AGAIN_MS = 1000;

/** Each `{ name, places }`, by name; a place is `{ index, value, ttl, until, createdIndex }`. */
export const locks = signal(null);
/** Why they cannot be read; null if they can. */
export const error = signal(null);
/** Whether there are more than are looked at. */
export const isCut = signal(false);

const TOO_MANY = Symbol("too many");

/** Whether somebody has ever asked for a lock, as far as this page knows. */
let isThere = false;

/**
 * Whether the directory is there. Asking for what is not is an error, also to the browser, which
 * writes of it to its console; its parents are asked by whoever may read them.
 */
async function exists(abort) {
  if (isThere || (counts.value && !rights.value?.isRoot)) return true;
  let dir = "";
  for (const name of DIR.split("/").slice(1)) {
    const child = `${dir}/${name}`;
    // The server always keeps the first.
    if (dir) {
      const { nodes } = await list(dir, {
        signal: abort,
        hidden: true,
        keysOnly: true,
        limit: 100,
      });
      if (!nodes.some((node) => node.key === child)) return false;
    }
    dir = child;
  }
  isThere = true;
  return true;
}

/**
 * The locks of nodes. A name may have slashes, so that a directory can hold places and other
 * locks.
 */
function locksIn(nodes) {
  const found = new Map();
  const parents = new Set();
  const of = (dir) => {
    if (!found.has(dir)) found.set(dir, []);
    return found.get(dir);
  };
  for (const node of nodes) {
    const dir = node.key.slice(0, node.key.lastIndexOf("/"));
    if (node.dir) {
      of(node.key);
      parents.add(dir);
    } else if (/^\d+$/.test(nameOf(node.key))) {
      of(dir).push({
        index: Number(nameOf(node.key)),
        value: node.value ?? "",
        createdIndex: node.createdIndex,
        until: node.expiration === undefined ? null : Date.parse(node.expiration),
      });
    }
  }
  return (
    [...found]
      // A directory that only leads to others is no lock.
      .filter(([dir, places]) => dir !== DIR && (places.length || !parents.has(dir)))
      .map(([dir, places]) => ({
        name: dir.slice(DIR.length + 1),
        places: places.sort((one, other) => one.index - other.index),
      }))
      .sort((one, other) => one.name.localeCompare(other.name))
  );
}

async function read(abort) {
  const nodes = [];
  try {
    if (!(await exists(abort))) return [];
    await walk(DIR, {
      signal: abort,
      hidden: true,
      onPage(page) {
        nodes.push(...page.slice(0, NODES_MAX - nodes.length));
        if (nodes.length >= NODES_MAX) throw TOO_MANY;
      },
    });
    isCut.value = false;
  } catch (failure) {
    if (failure === TOO_MANY) isCut.value = true;
    // Nobody has asked for a lock yet.
    else if (failure.code !== NOT_FOUND) throw failure;
  }
  return locksIn(nodes);
}

/**
 * Follows the locks until the function that it gives is called. Gives `again` too, which reads
 * now.
 */
export function followLocks() {
  const abort = new AbortController();
  let timer = 0;
  let isReading = false;
  let isStale = false;
  let last = 0;
  const look = async () => {
    timer = 0;
    if (isReading) {
      isStale = true;
      return;
    }
    [isReading, isStale, last] = [true, false, Date.now()];
    try {
      const found = await read(abort.signal);
      if (abort.signal.aborted) return;
      [locks.value, error.value] = [found, null];
    } catch (failure) {
      if (abort.signal.aborted) return;
      error.value = failure;
      if (failure.isRefused) locks.value = null;
    } finally {
      isReading = false;
    }
    if (isStale) soon();
  };
  const soon = () => {
    if (!abort.signal.aborted)
      timer ||= setTimeout(look, Math.max(0, last + AGAIN_MS - Date.now()));
  };
  alsoFollow(DIR);
  const endEvents = onEvents((events) => {
    if (events === null || events.some(({ node }) => node.key.startsWith(DIR))) soon();
  });
  const endWho = effect(() => {
    user.value;
    locks.value = null;
    look();
  });
  // A machine that did not answer may have missed some.
  let wasSilent = false;
  const endSilence = effect(() => {
    if (wasSilent && !isSilent.value && seenAt.value) soon();
    wasSilent = isSilent.value;
  });
  const end = () => {
    abort.abort();
    clearTimeout(timer);
    endEvents();
    endWho();
    endSilence();
  };
  return { end, again: look };
}
