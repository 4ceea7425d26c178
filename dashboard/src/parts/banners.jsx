// What is wrong, above every view.

import { cluster, isSilent, majority, now, others, seenAt } from "../state/health.js";
import { moment } from "./time.jsx";
import { duration, visible } from "./words.js";

/**
 * What is wrong with the cluster, the worst first: `{ id, isBad, text, age, links }`; `age` is in
 * seconds, that of what is shown.
 */
export function troubles() {
  if (isSilent.value) return [silence()];
  if (!cluster.value) return [];
  const found = [];
  const { voters, here, needed, isLost } = majority.value;
  const names = (members) => members.map((one) => visible(one.name)).join(", ");
  if (isLost) {
    const gone = voters.filter((one) => !one.reachable);
    const missing = needed - here.length;
    const toStart = missing === gone.length ? "them" : `at least ${missing} of them`;
    found.push({
      id: "majority",
      isBad: true,
      text:
        `The majority is lost: ${here.length} of ${voters.length} voting members answer, ` +
        `and every change is refused. Not reachable: ${names(gone)}. Start ${toStart} again.`,
    });
  } else if (cluster.value.leader === "") {
    found.push({
      id: "leader",
      text: "No leader: an election is going on, and changes are refused until it is over.",
    });
  }
  const differing = cluster.value.members.filter(
    (one) => one.diverged || one.failing?.includes("members-differ"),
  );
  if (differing.length) {
    found.push({
      id: "differ",
      isBad: true,
      text:
        `Members differ: the state of ${names(differing)} is not that of the others. ` +
        "Restart that member once with -force-rejoin, and report it as a bug.",
    });
  }
  for (const one of cluster.value.members) {
    for (const name of one.failing ?? []) {
      const said = SAID[name];
      if (said)
        found.push({
          id: `${name}-${one.name}`,
          isBad: said.isBad,
          text: said.text(visible(one.name)),
        });
    }
  }
  return found.sort((one, other) => Number(other.isBad ?? false) - Number(one.isBad ?? false));
}

/** Checks of readiness that are told of by a banner; the others follow from what is said above. */
const SAID = {
  disk: {
    isBad: true,
    text: (name) =>
      `The disk of ${name} is full or too slow: it takes no changes. Free some space, or find out what else uses it; changes go on by themselves.`,
  },
  certificate: {
    isBad: false,
    text: (name) =>
      `A certificate of ${name} has expired or soon will. Replace its files: ` +
      "they are read again by themselves.",
  },
};

function silence() {
  const shown = seenAt.value ? ` What is shown is of ${moment(seenAt.value)}` : "";
  const age = seenAt.value ? (now.value - seenAt.value) / 1000 : undefined;
  return {
    id: "silent",
    isBad: true,
    text: `This server is not responding. Retrying.${shown}`,
    age,
    links: others.value,
  };
}

export function Banners() {
  return (
    <div class="banners" role="alert">
      {troubles().map(({ id, isBad, text, age, links }) => (
        <div key={id} class={`banner ${isBad ? "bad" : ""}`}>
          {text}
          {/* It is not read aloud every second. */}
          {age !== undefined && <span aria-hidden="true">, {duration(age)} ago.</span>}
          {links?.length > 0 && " Open another machine: "}
          {links?.map(({ name, href }, at) => (
            <span key={name}>
              {at > 0 && ", "}
              <a href={href} rel="noreferrer">
                {visible(name)}
              </a>
            </span>
          ))}
        </div>
      ))}
    </div>
  );
}
