// The first thing that is said: how the cluster is, and what to do.

import { copy } from "../../parts/copy.jsx";
import { Button } from "../../parts/button.jsx";
import { Skeleton } from "../../parts/states.jsx";
import { Ago, moment, Time } from "../../parts/time.jsx";
import { count, sentence, visible } from "../../parts/words.js";
import { checks, cluster, isSilent, majority, seenAt } from "../../state/health.js";
import { levelSince } from "./since.js";
import { dashboardOf } from "./machine.js";
import { verdict } from "./verdict.js";

const PATHS = {
  good: "M5 12.5l4.5 4.5L19 7.5",
  warn: "M12 6v8M12 17.5v.5",
  bad: "M7 7l10 10M17 7L7 17",
};

function Sign({ level }) {
  return (
    <svg class="sign" width="40" height="40" viewBox="0 0 24 24" aria-hidden="true">
      <circle cx="12" cy="12" r="11" />
      <path d={PATHS[level]} />
    </svg>
  );
}

function Findings({ findings }) {
  if (!findings.length) return null;
  return (
    <ul class="findings" aria-label="What is wrong">
      {findings.map(({ id, what, said, todo }) => (
        <li key={id}>
          <p>
            <b>{sentence(what)}</b>
            {said && ` It says: ${sentence(said)}`}
          </p>
          <p class="todo">{sentence(todo)}</p>
        </li>
      ))}
    </ul>
  );
}

function Fact({ name, children }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** Since when it has been so, as far as this browser knows. */
function Since() {
  const known = levelSince.value;
  if (!known) return <span class="muted">unknown</span>;
  return (
    <span>
      {!known.isWhole && "at least "}
      <Ago ms={known.since} /> (since <Time ms={known.since} />)
    </span>
  );
}

function Leader() {
  const { leader, members, seenBy, leaderSince } = cluster.value;
  if (leader === "") return <span class="wrong">none</span>;
  const member = members.find((one) => one.name === leader);
  const href = leader !== seenBy && dashboardOf(member);
  const was = isSilent.value ? "was " : "";
  return (
    <span>
      {was}
      {href ? (
        <a href={href} rel="noreferrer">
          {visible(leader)}
        </a>
      ) : (
        visible(leader)
      )}
      {leaderSince && (
        <>
          , since <Time ms={leaderSince} /> (<Ago ms={leaderSince} />)
        </>
      )}
    </span>
  );
}

export function Statement() {
  if (!cluster.value) {
    return (
      <section class="card statement waiting">
        <Skeleton lines={3} label="Loading the state of the cluster" />
      </section>
    );
  }
  const known = {
    cluster: cluster.value,
    majority: majority.value,
    checks: checks.value,
    isSilent: isSilent.value,
  };
  const { level, title, tolerance, findings } = verdict(known);
  const { seenBy, etcdIndex, term, cluster: id } = cluster.value;
  const since = { good: "Well for", warn: "So for", bad: "So for" }[level];
  return (
    <section class={`card statement ${level}`} aria-label="Health">
      <div class="said" role="status">
        <Sign level={level} />
        <p>
          <span class="large">{title}</span> <span class="tolerance">{tolerance}</span>
        </p>
      </div>
      <Findings findings={findings} />
      <dl class="facts">
        <Fact name="Leader">
          <Leader />
        </Fact>
        <Fact name={since}>
          <Since />
        </Fact>
        <Fact name="Term">{count(term)}</Fact>
        <Fact name="Index">{count(etcdIndex)}</Fact>
        <Fact name="Seen by">
          {visible(seenBy)}
          {isSilent.value && seenAt.value > 0 && `, at ${moment(seenAt.value)}`}
        </Fact>
        <Fact name="Cluster">
          <code>{id}</code>{" "}
          <Button
            kind="plain"
            label="Copy the cluster's id"
            onPress={() => copy(id, "the cluster's id")}
          >
            Copy
          </Button>
        </Fact>
      </dl>
    </section>
  );
}
