// The machines: a table where there is room, cards where there is not.

import { Button, Menu } from "../../parts/button.jsx";
import { useNarrow } from "../../parts/narrow.js";
import { Ago } from "../../parts/time.jsx";
import { bytes, count, duration, latency, visible } from "../../parts/words.js";
import { cluster, isSilent, now, seenAt } from "../../state/health.js";
import { moment } from "../../parts/time.jsx";
import { openAdd, openRemove, openReplace, moveLeadership } from "./actions.jsx";
import { dashboardOf, roleOf, whyNot, whyNotLeader } from "./machine.js";

/** Below that the table's columns do not fit. */
const TABLE_FROM = 1180;

/** How old what is shown of a silent cluster is, which counts on. */
function uptimeOf({ uptime, reachable }) {
  if (uptime === null || uptime === undefined || !reachable || isSilent.value) return "\u2013";
  return duration(uptime + Math.max(0, now.value - seenAt.value) / 1000);
}

/** The columns: `{ name, text(member), isNumber, title }`; what is not known is a dash. */
const COLUMNS = [
  { name: "Term", text: (one) => count(one.term), title: "The term that the machine itself is in" },
  {
    name: "Lag",
    text: (one) => count(one.lagEntries),
    title: "Committed entries of the log that it has not got",
  },
  {
    name: "Disk sync",
    text: (one) => latency(one.diskSync),
    title: "99 of 100 disk syncs of the last minute took at most so long",
  },
  { name: "Memory", text: (one) => bytes(one.memory) },
  { name: "Store", text: (one) => bytes(one.storeBytes), title: "Size of the key space" },
  { name: "Keys", text: (one) => count(one.keys) },
  { name: "Watchers", text: (one) => count(one.watchers) },
  { name: "Clients", text: (one) => count(one.connections), title: "Connections" },
  { name: "Uptime", text: uptimeOf },
];

/** Whether terms differ, which they should not for long. */
function differ(members) {
  const terms = members
    .filter((one) => one.reachable)
    .map((one) => one.term)
    .filter((one) => typeof one === "number");
  return new Set(terms).size > 1;
}

function Name({ member }) {
  const href = dashboardOf(member);
  const isOwn = member.name === cluster.value.seenBy;
  return isOwn || !href ? (
    <b>
      {visible(member.name)}
      {isOwn && <span class="muted"> (this one)</span>}
    </b>
  ) : (
    <b>
      <a href={href} rel="noreferrer">
        {visible(member.name)}
      </a>
    </b>
  );
}

function Role({ member }) {
  const { text, kind } = roleOf(member);
  return (
    <span class="line roles">
      <span class={`tag ${kind}`}>{text}</span>
      {!member.reachable && !isSilent.value && <span class="tag bad">unreachable</span>}
      {member.diverged && <span class="tag bad">differs</span>}
      {(member.failing ?? []).map((one) => (
        <span key={one} class="tag warn">
          {visible(one)}
        </span>
      ))}
    </span>
  );
}

function Actions({ member }) {
  const isOwn = member.name === cluster.value.seenBy;
  const href = dashboardOf(member);
  const only = cluster.value.members.length === 1;
  const items = [
    {
      label: "Move leadership here",
      reason: whyNotLeader(member),
      run: () => moveLeadership(member),
    },
    { label: "Replace...", run: () => openReplace(member) },
    !isOwn && href && { label: "Open its dashboard", href },
    {
      label: "Remove...",
      kind: "danger",
      reason: whyNot() ?? (only ? "It is the only machine." : null),
      run: () => openRemove(member),
    },
  ];
  return <Menu label={`Actions for ${visible(member.name)}`} items={items} />;
}

function Addresses({ member }) {
  return (
    <span class="addresses mono small">
      {member.clientURL ? visible(member.clientURL) : "not announced"}
      {member.peerURL && (
        <>
          <br />
          {visible(member.peerURL)}
        </>
      )}
    </span>
  );
}

function Table({ members, standbys, isDiffering }) {
  return (
    <table class="machines">
      <caption>Machines of the cluster</caption>
      <thead>
        <tr>
          <th scope="col">Name</th>
          <th scope="col">Role</th>
          {COLUMNS.map((one) => (
            <th key={one.name} scope="col" class="number" title={one.title}>
              {one.name}
            </th>
          ))}
          <th scope="col">Version</th>
          <th scope="col">
            <span class="visually-hidden">Actions</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {members.map((member) => (
          <tr key={member.id} class={roleOf(member).isOld ? "old" : ""}>
            <th scope="row">
              <Name member={member} />
              <Addresses member={member} />
            </th>
            <td>
              <Role member={member} />
            </td>
            {COLUMNS.map((one) => (
              <td
                key={one.name}
                class={`number ${one.name === "Term" && isDiffering ? "differs" : ""}`}
              >
                {one.text(member)}
              </td>
            ))}
            <td>{member.version || "\u2013"}</td>
            <td class="actions">
              <Actions member={member} />
            </td>
          </tr>
        ))}
        {standbys.map((one) => (
          <tr key={one.name}>
            <th scope="row">
              <Name member={one} />
              <Addresses member={one} />
            </th>
            <td>
              <span class="tag">standby</span>
            </td>
            <td colSpan={COLUMNS.length + 2} class="muted">
              Takes the place of a member that is removed.
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Cards({ members, standbys, isDiffering }) {
  return (
    <ul class="machine-cards">
      {members.map((member) => (
        <li key={member.id} class={roleOf(member).isOld ? "old" : ""}>
          <div class="line">
            <span class="grow">
              <Name member={member} />
            </span>
            <Role member={member} />
            <Actions member={member} />
          </div>
          <Addresses member={member} />
          <dl>
            {COLUMNS.map((one) => (
              <div key={one.name}>
                <dt>{one.name}</dt>
                <dd class={one.name === "Term" && isDiffering ? "differs" : ""}>
                  {one.text(member)}
                </dd>
              </div>
            ))}
            <div>
              <dt>Version</dt>
              <dd>{member.version || "\u2013"}</dd>
            </div>
          </dl>
        </li>
      ))}
      {standbys.map((one) => (
        <li key={one.name}>
          <div class="line">
            <span class="grow">
              <Name member={one} />
            </span>
            <span class="tag">standby</span>
          </div>
          <Addresses member={one} />
        </li>
      ))}
    </ul>
  );
}

/** Of a machine that is not heard the last word is not true any more. */
function known(member) {
  return { ...member, lagEntries: member.reachable && !isSilent.value ? member.lagEntries : null };
}

export function Machines() {
  const isNarrow = useNarrow(TABLE_FROM);
  const members = cluster.value.members.map(known);
  const standbys = cluster.value.standbys ?? [];
  const Shape = isNarrow ? Cards : Table;
  const leader = cluster.value.members.find((one) => one.name === cluster.value.leader);
  const href = leader?.name !== cluster.value.seenBy && dashboardOf(leader);
  return (
    <section class="card" aria-label="Machines of the cluster">
      <header>
        <h2>Machines</h2>
        {isSilent.value && seenAt.value > 0 && (
          <p class="wrong">
            as they were at {moment(seenAt.value)}, <Ago ms={seenAt.value} /> ago
          </p>
        )}
        <Button
          onPress={() => {
            openAdd();
          }}
        >
          Add a machine
        </Button>
      </header>
      <Shape members={members} standbys={standbys} isDiffering={differ(members)} />
      {cluster.value.standbys === null && (
        <p class="note muted small">
          Standbys are listed on the leader
          {href && (
            <>
              :{" "}
              <a href={href} rel="noreferrer">
                {visible(leader.name)}
              </a>
            </>
          )}
          .
        </p>
      )}
    </section>
  );
}
