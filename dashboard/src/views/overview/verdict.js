// How the cluster is, in one statement, with what is wrong and what to do.

import { plural, visible } from "../../parts/words.js";

const NUMBERS = ["No", "One", "Two", "Three", "Four"];

/** What each check of readiness means when it fails, and what to do. `%` is the machine's name. */
const CHECKS = {
  identity: {
    what: "% may not take part: its data directory is a copy, is not the latest, or other members reject it.",
    todo: "The last lines of its log say which. If its data is lost, replace the machine.",
  },
  "members-differ": {
    what: "% has another state than the other members.",
    todo: "Restart it once with -force-rejoin, and report it as a bug.",
  },
  disk: {
    what: "The disk of % is full, or takes longer than an election timeout to sync.",
    todo: "Free some space: writes resume by themselves. If there is room, find out what else uses the disk.",
  },
  leader: {
    what: "% knows no leader, has no connection to it, or the leader's disk is not writable.",
    todo: 'Look at its log for "no connection to a member": it names the address and the reason.',
  },
  majority: {
    what: "% has no confirmation from a majority in time.",
    todo: "If this lasts, start the members that do not answer. If they run, look at the network between the machines.",
  },
  store: {
    what: "% has joined and is catching up, or waits to be admitted.",
    todo: 'Wait. If it takes long, "cannot join the cluster yet" in its log says why.',
  },
  certificate: {
    what: "A certificate of % has expired.",
    todo: "Replace its files: they are read again within a second.",
  },
  "backup-age": {
    what: "The last backup of % is older than three intervals.",
    todo: 'Look for "cannot write a backup" in its log: the disk is full, or the directory is missing.',
  },
};

function meaningOf(check, name) {
  const known = CHECKS[check] ?? {
    what: `% is not ready: its check ${check} fails.`,
    todo: "Its log says why.",
  };
  return { what: known.what.replaceAll("%", visible(name)), todo: known.todo };
}

/** How many machines more may fail, in words. */
function toleranceIn(tolerates, voters) {
  if (tolerates === null) return "";
  if (voters === 1) return "No machine may fail: this is the only one.";
  const number = NUMBERS[tolerates] ?? String(tolerates);
  return `${number} machine${tolerates > 1 ? "s" : ""} may fail.`;
}

/** How many voting members may fail now; null if that is not known. */
export function toleratesOf(cluster, { here, needed }) {
  if (cluster.leader === "") return null;
  return cluster.tolerates ?? Math.max(0, here.length - needed);
}

/** What is wrong with single machines: `{ id, name, what, said, todo }`. */
function findingsOf(cluster, checks) {
  const found = [];
  for (const member of cluster.members) {
    const name = visible(member.name);
    if (!member.reachable) {
      found.push({
        id: `gone ${member.name}`,
        what: `${name} does not answer.`,
        todo: "Start it again. If it is lost with its disk, replace it: its menu below says how.",
      });
      continue;
    }
    const own = member.name === cluster.seenBy ? (checks?.filter((one) => !one.isOk) ?? []) : [];
    const names = new Set([...(member.failing ?? []), ...own.map((one) => one.name)]);
    if (member.diverged) names.add("members-differ");
    for (const check of names) {
      const text = own.find((one) => one.name === check)?.text.replace(/^(failed|failing): */i, "");
      found.push({
        id: `${check} ${member.name}`,
        ...meaningOf(check, member.name),
        said: text || null,
      });
    }
    if (member.state === "learner") {
      found.push({
        id: `learner ${member.name}`,
        what: `${name} does not vote yet: it is catching up.`,
        todo: "Wait until it votes.",
      });
    }
  }
  return found;
}

/** What is wrong with the cluster where no change is possible. */
function stuckBy(cluster, { voters, here, needed, isLost }) {
  if (!isLost) {
    return {
      id: "leader",
      what: "There is no leader: an election is going on.",
      todo: "Wait a few seconds. If it does not end, look at the network between the machines, and at their disks.",
    };
  }
  const gone = voters.filter((one) => !one.reachable).map((one) => visible(one.name));
  return {
    id: "majority",
    what: `${here.length} of ${plural(voters.length, "voting member")} ${here.length === 1 ? "answers" : "answer"}, and ${needed} are needed.`,
    todo: `Start ${needed - here.length} of these again: ${gone.join(", ")}. Nothing else brings it back without loss.`,
  };
}

/**
 * The statement: `{ level, title, tolerance, findings }`; `level` is "good", "warn" or "bad".
 * `majority` is as state/health.js has it.
 */
export function verdict({ cluster, majority, checks, isSilent }) {
  const findings = findingsOf(cluster, isSilent ? null : checks);
  if (isSilent) {
    return {
      level: "bad",
      title: "Unknown: this machine does not answer.",
      tolerance: "",
      findings: [
        {
          id: "silent",
          what: `${visible(cluster.seenBy)} does not answer. What is below is of before.`,
          todo: "Open the dashboard of another machine, above.",
        },
      ],
    };
  }
  if (majority.isLost || cluster.leader === "") {
    return {
      level: "bad",
      title: "No changes possible.",
      tolerance: "Plain reads and watches still work.",
      findings: [stuckBy(cluster, majority), ...findings],
    };
  }
  const voters = majority.voters.length;
  const tolerates = toleratesOf(cluster, majority);
  if (findings.length) {
    const more = NUMBERS[tolerates] ?? String(tolerates);
    const left = tolerates === 0 ? "No further machine may fail." : `${more} more may fail.`;
    return { level: "warn", title: "Degraded.", tolerance: left, findings };
  }
  return { level: "good", title: "Healthy.", tolerance: toleranceIn(tolerates, voters), findings };
}
