// Operations on the key space since the cluster was made, folded away.

import { useEffect, useState } from "preact/hooks";
import { call, POLL } from "../../server/api.js";
import { Failed, Skeleton } from "../../parts/states.jsx";
import { count } from "../../parts/words.js";
import { seenAt } from "../../state/health.js";

const COUNTERS = [
  ["Set", "sets"],
  ["Create", "create"],
  ["Update", "update"],
  ["Delete", "delete"],
  ["Compare and swap", "compareAndSwap"],
  ["Compare and delete", "compareAndDelete"],
  ["Get (this machine)", "gets"],
];

function Table({ store }) {
  return (
    <table class="counters">
      <caption>Operations since creation</caption>
      <thead>
        <tr>
          <th scope="col">Operation</th>
          <th scope="col" class="number">
            Done
          </th>
          <th scope="col" class="number">
            Failed
          </th>
        </tr>
      </thead>
      <tbody>
        {COUNTERS.map(([name, key]) => (
          <tr key={key}>
            <th scope="row">{name}</th>
            <td class="number">{count(store[`${key}Success`])}</td>
            <td class="number">{count(store[`${key}Fail`])}</td>
          </tr>
        ))}
        <tr>
          <th scope="row">Expired</th>
          <td class="number">{count(store.expireCount)}</td>
          <td class="number">{"\u2013"}</td>
        </tr>
      </tbody>
    </table>
  );
}

function Inside() {
  const [store, setStore] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => {
    const abort = new AbortController();
    call("/v2/stats/store", { as: null, headers: POLL, signal: abort.signal }).then(
      setStore,
      (failure) => {
        if (!abort.signal.aborted) setError(failure);
      },
    );
    return () => abort.abort();
  }, [seenAt.value]);
  if (store) return <Table store={store} />;
  return error ? (
    <Failed error={error} />
  ) : (
    <div class="body">
      <Skeleton lines={8} />
    </div>
  );
}

export function Counters() {
  const [isOpen, setOpen] = useState(false);
  return (
    <details class="card" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <h2>Operation counters</h2>
      </summary>
      {isOpen && <Inside />}
    </details>
  );
}
