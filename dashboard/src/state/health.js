// How the cluster is, as the machine behind the page sees it; asked for now and again, whatever is
// shown.

import { computed, signal } from "@preact/signals";
import { call, callText, POLL } from "../server/api.js";

const LOOK_MS = 2000;
/** An answer that takes longer than that is none. */
const PATIENCE_MS = 5000;
const CHECKS_MS = 6000;

/** The last answer of `/v2/stats/cluster`; null until the first. */
export const cluster = signal(null);
/** When that came, in milliseconds; 0 until then. */
export const seenAt = signal(0);
/** Whether the machine behind the page does not answer. */
export const isSilent = signal(false);
/** Since when that has been so; null while it answers. */
export const silentSince = signal(null);
/**
 * Lines of `/readyz?verbose`: `{ name, isOk, text }`; none where the machine says elsewhere that no
 * check fails, null until it is known.
 */
export const checks = signal(null);
/** The present, once a second, for what counts time. */
export const now = signal(Date.now());

/** Whether there is nobody to make a change. */
export const isStuck = computed(() => isSilent.value || cluster.value?.leader === "");

/** Voting members, and how many of them answer. */
export const majority = computed(() => {
  const voters = cluster.value?.members.filter((one) => one.voter) ?? [];
  const here = voters.filter((one) => one.reachable);
  const needed = Math.floor(voters.length / 2) + 1;
  return { voters, here, needed, isLost: voters.length > 0 && here.length < needed };
});

/** Dashboards of the other machines: `{ name, href }`. */
export const others = computed(() =>
  (cluster.value?.members ?? [])
    .filter((one) => one.name !== cluster.value.seenBy && one.clientURL)
    .map((one) => ({ name: one.name, href: `${one.clientURL}/mod/dashboard/${location.hash}` })),
);

function checkOf(line) {
  const match = /^\[([+-])\]([\w-]+)\s*(.*)$/.exec(line);
  return match && { isOk: match[1] === "+", name: match[2], text: match[3] };
}

let checkedAt = 0;

async function lookAtChecks({ members, seenBy }) {
  // An answer that is an error is one to the browser too, which writes of it to its console.
  if (members.find((one) => one.name === seenBy)?.failing?.length === 0) {
    checks.value = [];
    return;
  }
  if (Date.now() - checkedAt < CHECKS_MS) return;
  checkedAt = Date.now();
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const text = await callText("/readyz?verbose", { as: null, signal, anyStatus: true });
  checks.value = text.split("\n").map(checkOf).filter(Boolean);
}

let round = 0;
let timer = 0;

/** Looks now, and again from then on. */
export async function look() {
  clearTimeout(timer);
  round += 1;
  const mine = round;
  if (!document.hidden) {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const answer = await call("/v2/stats/cluster", { as: null, signal, headers: POLL }).catch(
      () => null,
    );
    if (mine !== round) return;
    if (answer) [cluster.value, seenAt.value] = [answer, Date.now()];
    isSilent.value = answer === null;
    silentSince.value = answer ? null : (silentSince.value ?? Date.now());
    if (answer) lookAtChecks(answer).catch(() => {});
  }
  timer = setTimeout(look, LOOK_MS);
}

export function startHealth() {
  setInterval(() => {
    now.value = Date.now();
  }, 1000);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) look();
  });
  look();
}
