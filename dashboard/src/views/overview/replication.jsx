// How long the leader's calls to each follower take, which the leader alone knows.

import { useEffect, useState } from "preact/hooks";
import { call, POLL } from "../../server/api.js";
import { Failed, Skeleton } from "../../parts/states.jsx";
import { useNarrow } from "../../parts/narrow.js";
import { count, visible } from "../../parts/words.js";
import { cluster, seenAt } from "../../state/health.js";
import { dashboardOf } from "./machine.js";

const HEADS = [
  "Current, ms",
  "Average, ms",
  "Deviation, ms",
  "Minimum, ms",
  "Maximum, ms",
  "Answered",
  "Failed",
];

/** Below that the table's columns do not fit. */
const TABLE_FROM = 700;

/** The cells of each follower, in the order of the heads. */
function cellsOf({ latency, counts }) {
  const times = [
    latency.current,
    latency.average,
    latency.standardDeviation,
    latency.minimum,
    latency.maximum,
  ];
  const shown = times.map((value) => (counts.success ? value.toFixed(3) : "\u2013"));
  return [...shown, count(counts.success), count(counts.fail)];
}

function Table({ followers }) {
  return (
    <table>
      <caption>Latency of each follower, in milliseconds</caption>
      <thead>
        <tr>
          <th scope="col">Follower</th>
          {HEADS.map((head) => (
            <th key={head} scope="col" class="number">
              {head}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {Object.entries(followers).map(([name, stats]) => (
          <tr key={name}>
            <th scope="row">{visible(name)}</th>
            {cellsOf(stats).map((cell, at) => (
              <td key={HEADS[at]} class="number">
                {cell}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Cards({ followers }) {
  return (
    <ul class="machine-cards">
      {Object.entries(followers).map(([name, stats]) => (
        <li key={name}>
          <b>{visible(name)}</b>
          <dl>
            {cellsOf(stats).map((cell, at) => (
              <div key={HEADS[at]}>
                <dt>{HEADS[at]}</dt>
                <dd>{cell}</dd>
              </div>
            ))}
          </dl>
        </li>
      ))}
    </ul>
  );
}

function Elsewhere() {
  const leader = cluster.value?.members.find((one) => one.name === cluster.value.leader);
  const href = dashboardOf(leader);
  if (!leader) return <p class="body muted">No leader.</p>;
  return (
    <p class="body muted">
      Latencies are shown on the leader:{" "}
      {href ? (
        <a href={href} rel="noreferrer">
          {visible(leader.name)}
        </a>
      ) : (
        visible(leader.name)
      )}
      .
    </p>
  );
}

export function Replication() {
  const [stats, setStats] = useState(null);
  const [error, setError] = useState(null);
  const isLeader = cluster.value !== null && cluster.value.leader === cluster.value.seenBy;
  useEffect(() => {
    if (!isLeader) return undefined;
    const abort = new AbortController();
    call("/v2/stats/leader", { as: null, headers: POLL, signal: abort.signal }).then(
      (answer) => {
        setStats(answer);
        setError(null);
      },
      (failure) => {
        if (!abort.signal.aborted) setError(failure);
      },
    );
    return () => abort.abort();
  }, [isLeader, seenAt.value]);
  const Shape = useNarrow(TABLE_FROM) ? Cards : Table;
  const isEmpty = stats && Object.keys(stats.followers).length === 0;
  return (
    <section class="card" aria-label="Replication">
      <header>
        <h2>Replication latency</h2>
      </header>
      {cluster.value && !isLeader && <Elsewhere />}
      {isLeader &&
        !stats &&
        (error ? (
          <Failed error={error} />
        ) : (
          <div class="body">
            <Skeleton lines={2} />
          </div>
        ))}
      {isLeader && isEmpty && <p class="body muted">No followers.</p>}
      {isLeader && stats && !isEmpty && <Shape followers={stats.followers} />}
    </section>
  );
}
