// The view of locks and elections: who holds, who waits.

import "./locks.css";
import { useEffect, useRef } from "preact/hooks";
import { Menu } from "../../parts/button.jsx";
import { copy } from "../../parts/copy.jsx";
import { useNarrow } from "../../parts/narrow.js";
import { Empty, Failed, Skeleton } from "../../parts/states.jsx";
import { Ago, Time, Until } from "../../parts/time.jsx";
import { count, plural, visible } from "../../parts/words.js";
import { timeOf } from "../../server/times.js";
import { addressOf } from "../../state/route.js";
import { openRelease, whyNotRelease } from "./release.jsx";
import { DIR, error, followLocks, isCut, locks } from "./queues.js";

/** Below that the table's columns do not fit. */
const TABLE_FROM = 700;
/** Places of a queue that are shown. */
const PLACES_MAX = 100;

function stateOf(at) {
  return at === 0 ? (
    <span class="tag accent">holds</span>
  ) : (
    <span class="tag">waiting, position {count(at)}</span>
  );
}

function Since({ place }) {
  const ms = timeOf(place.createdIndex);
  if (ms === undefined) return <span class="muted">{"\u2026"}</span>;
  return ms === null ? (
    <span class="muted">unknown</span>
  ) : (
    <>
      <Ago ms={ms} />{" "}
      <span class="muted">
        (<Time ms={ms} />)
      </span>
    </>
  );
}

function Expiry({ place }) {
  if (place.until === null) return <span class="muted">no expiry</span>;
  return (
    <>
      <Until ms={place.until} />{" "}
      <span class="muted">
        (<Time ms={place.until} />)
      </span>
    </>
  );
}

function Value({ value }) {
  return value === "" ? <span class="muted">none</span> : <code>{visible(value)}</code>;
}

function Actions({ lock, place, at }) {
  const what = at === 0 ? "Release..." : "Take out of the queue...";
  const items = [
    { label: "Copy the index", run: () => copy(String(place.index), "the index") },
    { label: "Open its key", href: addressOf("keys", `${DIR}/${lock.name}/${place.index}`) },
    {
      label: what,
      kind: "danger",
      reason: whyNotRelease(lock.name),
      run: () => openRelease({ lock, place, at }),
    },
  ];
  return <Menu label={`Actions for entry ${place.index} of ${visible(lock.name)}`} items={items} />;
}

function Table({ lock }) {
  return (
    <div class="scroll">
      <table>
        <caption>Lock {visible(lock.name)}</caption>
        <thead>
          <tr>
            <th scope="col">State</th>
            <th scope="col">Value</th>
            <th scope="col" class="number" title="Fencing token: it grows with every holder">
              Index
            </th>
            <th scope="col">For</th>
            <th scope="col">Expires in</th>
            <th scope="col">
              <span class="visually-hidden">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {lock.places.slice(0, PLACES_MAX).map((place, at) => (
            <tr key={place.index} class={at === 0 ? "holder" : ""}>
              <td class="state">{stateOf(at)}</td>
              <td class="value">
                <Value value={place.value} />
              </td>
              <td class="number index">{place.index}</td>
              <td class="since">
                <Since place={place} />
              </td>
              <td class="until">
                <Expiry place={place} />
              </td>
              <td class="actions">
                <Actions lock={lock} place={place} at={at} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Cards({ lock }) {
  return (
    <ol class="places" aria-label={`Lock ${visible(lock.name)}`}>
      {lock.places.slice(0, PLACES_MAX).map((place, at) => (
        <li key={place.index}>
          <div class="line">
            <span class="grow">
              <Value value={place.value} />
            </span>
            {stateOf(at)}
            <Actions lock={lock} place={place} at={at} />
          </div>
          <dl>
            <div>
              <dt>Index</dt>
              <dd>{place.index}</dd>
            </div>
            <div>
              <dt>{at === 0 ? "Held for" : "Waiting for"}</dt>
              <dd>
                <Since place={place} />
              </dd>
            </div>
            <div>
              <dt>Expires in</dt>
              <dd>
                <Expiry place={place} />
              </dd>
            </div>
          </dl>
        </li>
      ))}
    </ol>
  );
}

function Lock({ lock, isNarrow }) {
  const Shape = isNarrow ? Cards : Table;
  const [holder, ...queue] = lock.places;
  const held =
    holder.value === "" ? `held, index ${holder.index}` : `held by ${visible(holder.value)}`;
  const left = lock.places.length - PLACES_MAX;
  return (
    <section class="card lock" aria-label={`Lock ${visible(lock.name)}`}>
      <header>
        <h2>
          <span class="mono">{visible(lock.name)}</span>: {held}, {count(queue.length)} waiting
        </h2>
      </header>
      <Shape lock={lock} />
      {left > 0 && (
        <p class="more muted">{plural(left, "more entry", "more entries")} in the queue.</p>
      )}
    </section>
  );
}

function Free({ free }) {
  if (!free.length) return null;
  return (
    <details class="card free">
      <summary>{plural(free.length, "free lock")}</summary>
      <ul>
        {free.slice(0, 500).map(({ name }) => (
          <li key={name}>
            <span class="mono">{visible(name)}</span>: free
          </li>
        ))}
      </ul>
      {free.length > 500 && <p class="more muted">{plural(free.length - 500, "more")}.</p>}
    </details>
  );
}

function Shown() {
  const isNarrow = useNarrow(TABLE_FROM);
  const held = locks.value.filter(({ places }) => places.length);
  const free = locks.value.filter(({ places }) => !places.length);
  const example = `curl ${location.origin}/mod/v2/lock/db/migrate -XPOST -d ttl=60 -d value=runner-7`;
  return (
    <>
      {locks.value.length === 0 && (
        <section class="card">
          <Empty title="No locks yet." command={example}>
            A lock has one holder and a fair queue, and is free again when its TTL runs out. To take
            one for a minute:
          </Empty>
        </section>
      )}
      {held.map((lock) => (
        <Lock key={lock.name} lock={lock} isNarrow={isNarrow} />
      ))}
      {locks.value.length > 0 && held.length === 0 && <p class="muted">No lock is held now.</p>}
      <Free free={free} />
      {isCut.value && <p class="muted">There are more locks than are shown.</p>}
    </>
  );
}

export function LocksView() {
  const following = useRef(null);
  useEffect(() => {
    following.current = followLocks();
    return following.current.end;
  }, []);
  return (
    <div class="page locks">
      <div>
        <h1>Locks and elections</h1>
        <p class="muted">
          The index of an entry is a fencing token: it grows with every holder. An election is a
          lock whose values are names.
        </p>
      </div>
      {error.value && (
        <section class="card">
          <Failed error={error.value} again={() => following.current.again()} />
        </section>
      )}
      {locks.value && <Shown />}
      {!locks.value && !error.value && (
        <section class="card waiting">
          <Skeleton lines={3} label="Loading the locks" />
        </section>
      )}
    </div>
  );
}
