// What happened lately, as charts.

import { useEffect, useState } from "preact/hooks";
import { Chart } from "../../parts/chart.jsx";
import { Failed, Skeleton } from "../../parts/states.jsx";
import { bytes, count, latency, rate } from "../../parts/words.js";
import { columnsOf, followHistory, history, historyError, SPANS } from "./history.js";

/** Each `{ title, format, isWhole, series }`; a series is a label and a column of the history. */
const CHARTS = [
  {
    title: "Writes and reads a second",
    format: rate,
    series: [
      ["writes", "writes"],
      ["reads", "reads"],
    ],
  },
  {
    title: "Write latency",
    format: latency,
    series: [
      ["p50", "writeSeconds"],
      ["p99", "writeSecondsP99"],
    ],
  },
  {
    title: "Disk sync",
    format: latency,
    series: [
      ["p50", "syncSeconds"],
      ["p99", "syncSecondsP99"],
    ],
  },
  {
    title: "Watchers and connections",
    format: count,
    isWhole: true,
    series: [
      ["watchers", "watchers"],
      ["connections", "connections"],
    ],
  },
  { title: "Memory", format: bytes, series: [["resident", "memory"]] },
  {
    title: "Leader changes and lag",
    format: count,
    isWhole: true,
    series: [
      ["leader changes", "leaderChanges"],
      ["lag, entries", "lag"],
    ],
  },
];

let chosen = "fine";

function Span({ kind, choose }) {
  return (
    <fieldset class="line spans">
      <legend class="visually-hidden">Time that is shown</legend>
      {Object.entries(SPANS).map(([name, { label }]) => (
        <label key={name} class="choice">
          <input
            type="radio"
            name="span"
            value={name}
            checked={kind === name}
            onChange={() => choose(name)}
          />
          {label}
        </label>
      ))}
    </fieldset>
  );
}

export function Charts() {
  const [kind, setKind] = useState(chosen);
  useEffect(followHistory, []);
  const choose = (name) => {
    chosen = name;
    setKind(name);
  };
  const columns = history.value && columnsOf(kind);
  return (
    <section class="charts" aria-label="The last hour of this machine">
      <header class="line">
        <h2 class="grow">Activity of this machine</h2>
        <Span kind={kind} choose={choose} />
      </header>
      {historyError.value && !columns && (
        <div class="card">
          <Failed error={historyError.value} />
        </div>
      )}
      <div class="grid">
        {!historyError.value &&
          !columns &&
          CHARTS.map(({ title }) => (
            <div key={title} class="card chart waiting">
              <Skeleton lines={3} label={`Loading ${title}`} />
            </div>
          ))}
        {columns &&
          CHARTS.map(({ title, format, isWhole, series }) => (
            <Chart
              key={title}
              title={title}
              format={format}
              isWhole={isWhole}
              span={SPANS[kind].words}
              times={columns.times}
              series={series.map(([label, name]) => ({ label, values: columns.column(name) }))}
            />
          ))}
      </div>
    </section>
  );
}
