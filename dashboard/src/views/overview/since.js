// Since when the cluster has been as it is. No server tells that, so this browser remembers it,
// over a reload of the page too.

import { effect, signal } from "@preact/signals";
import { checks, cluster, isSilent, majority, seenAt } from "../../state/health.js";
import { verdict } from "./verdict.js";

const KEY = "stead-level";
/** Nobody looked for so long that it may have been otherwise in the meantime. */
const GAP_MS = 15_000;

/**
 * `{ level, since, isWhole }`: `isWhole` if the change to this level was seen. Null until known.
 */
export const levelSince = signal(null);

function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}

effect(() => {
  if (!cluster.value) return;
  // The first answer to the checks comes a moment later.
  if (checks.value === null && !isSilent.value) return;
  const { level } = verdict({
    cluster: cluster.value,
    majority: majority.value,
    checks: checks.value,
    isSilent: isSilent.value,
  });
  const at = Math.max(seenAt.value, isSilent.value ? Date.now() : 0);
  const before = levelSince.peek() ?? kept();
  const of = cluster.value.cluster;
  const isSameCluster = before.of === of && before.machine === cluster.value.seenBy;
  const isUnbroken = isSameCluster && at - before.seen < GAP_MS;
  const isSame = isUnbroken && before.level === level;
  const now = {
    of,
    machine: cluster.value.seenBy,
    level,
    seen: at,
    since: isSame ? before.since : at,
    isWhole: isSame ? before.isWhole : isUnbroken,
  };
  levelSince.value = now;
  sessionStorage.setItem(KEY, JSON.stringify(now));
});
