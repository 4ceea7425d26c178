// What is known of a machine, and what may be done with it.

import { cluster, isSilent, isStuck, majority } from "../../state/health.js";
import { whyNotAdmin } from "../../state/session.js";
import { visible } from "../../parts/words.js";

/** The address of a machine's dashboard; null where it has announced no address. */
export function dashboardOf(member) {
  return member?.clientURL ? `${member.clientURL}/mod/dashboard/#/cluster` : null;
}

/** The role of a machine: `{ text, kind, isOld }`; `isOld` if it is of before. */
export function roleOf(member) {
  const isOld = isSilent.value || !member.reachable;
  const kind = isOld
    ? ""
    : ({ leader: "accent", candidate: "warn", learner: "warn" }[member.state] ?? "");
  return { text: isOld ? `was ${member.state}` : member.state, kind, isOld };
}

/** Why nothing can be changed at all; null if it can. */
export function whyNot() {
  if (whyNotAdmin.value) return whyNotAdmin.value;
  if (isSilent.value) return "This machine does not answer.";
  if (isStuck.value || majority.value.isLost) return "There is no leader: no change is possible.";
  return null;
}

/** Why a machine cannot be made the leader; null if it can be. */
export function whyNotLeader(member) {
  const { leader, seenBy } = cluster.value;
  const general = whyNot();
  if (general) return general;
  if (member.name === leader) return "It leads.";
  if (!member.reachable) return "It does not answer.";
  if (!member.voter) return "It does not vote yet.";
  if (leader !== seenBy) return `The leader hands over: use the dashboard of ${visible(leader)}.`;
  return null;
}

/** How it is once a machine is removed: `{ left, needed, tolerates }`. */
export function afterRemoval(member) {
  const { voters, here } = majority.value;
  const left = voters.filter((one) => one.name !== member.name).length;
  const alive = here.filter((one) => one.name !== member.name).length;
  const needed = Math.floor(left / 2) + 1;
  return { left, alive, needed, tolerates: alive - needed };
}

/** The peer address of a machine without its scheme, as -peers takes it. */
function peerOf({ peerURL }) {
  return peerURL.replace(/^https?:\/\//, "").replace(/\/$/, "");
}

/** The peer addresses of the machines that run, as -peers takes them, but for one. */
export function peersOf(without) {
  const all = cluster.value.members.filter((one) => one.name !== without && one.peerURL);
  const alive = all.filter((one) => one.reachable);
  return (alive.length ? alive : all).map(peerOf).join(",");
}

/** Whether members speak to one another with TLS. */
export function hasPeerTls() {
  return cluster.value.members.some((one) => one.peerURL.startsWith("https:"));
}

/** A flag's value where a machine has announced none. */
export function hostOf(url, otherwise) {
  return url ? url.replace(/^https?:\/\//, "").replace(/\/$/, "") : otherwise;
}
