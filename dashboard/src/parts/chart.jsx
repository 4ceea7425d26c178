// A chart of numbers over time, with axes, and the values where the pointer or the keyboard is.

import "uplot/dist/uPlot.min.css";
import "./chart.css";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { theme, zone } from "../state/settings.js";
import { moment } from "./time.jsx";

const DASHES = [[], [6, 4], [2, 3]];
const HEIGHT = 168;
/** Room for the numbers beside the plot. */
const AXIS_WIDTH = 68;

function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** The hour and the minute, for the axis. */
function clock(seconds) {
  const given = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const timeZone = zone.value === "utc" ? "UTC" : undefined;
  return new Date(seconds * 1000).toLocaleTimeString(undefined, { ...given, timeZone });
}

/** What of a series is known last; null if nothing is. */
function lastOf(values) {
  return values.findLast((value) => value !== null && value !== undefined) ?? null;
}

/** The axis begins at zero, and reaches above what there is; whole numbers have whole marks. */
function rangeOf(isWhole) {
  return (chart, low, high) => {
    const top = high > 0 ? high * 1.1 : 1;
    return [0, isWhole ? Math.max(2, Math.ceil(top)) : top];
  };
}

/** The points of a series that no line goes through, since nothing is known beside them. */
function lonely(chart, number) {
  const values = chart.data[number];
  const isKnown = (at) => values[at] !== null && values[at] !== undefined;
  return [...values.keys()].filter((at) => isKnown(at) && !isKnown(at - 1) && !isKnown(at + 1));
}

function optionsOf({ series, format, isWhole, ticks }, width, onCursor) {
  const [line, muted, sans] = [token("--line"), token("--muted"), token("--sans")];
  const axis = {
    font: `12px ${sans}`,
    stroke: muted,
    grid: { stroke: line, width: 1 },
    ticks: { stroke: line, width: 1 },
  };
  const shown = (values) => values.map((value) => (value === 0 ? "0" : format(value)));
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    padding: [8, 24, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    tzDate: (seconds) =>
      zone.value === "utc"
        ? uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC")
        : new Date(seconds * 1000),
    scales: { y: { range: rangeOf(isWhole) } },
    axes: [
      { ...axis, size: 30, space: 64, values: (chart, times) => times.map(clock) },
      {
        ...axis,
        size: AXIS_WIDTH,
        space: 32,
        values: (chart, values) => shown(values),
        ...(isWhole && {
          incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9],
        }),
        ...(ticks && { splits: ticks }),
      },
    ],
    series: [
      {},
      ...series.map((one, at) => ({
        label: one.label,
        stroke: token(`--series-${at + 1}`),
        width: 2,
        dash: DASHES[at],
        spanGaps: false,
        points: { show: true, size: 4, filter: lonely },
      })),
    ],
    hooks: { setCursor: [(chart) => onCursor(chart.cursor.idx ?? null, chart.cursor.left)] },
  };
}

/** The values at a point, beside it. */
function Tip({ at, left, width, times, series, format }) {
  const box = useRef(null);
  useLayoutEffect(() => {
    const own = box.current.offsetWidth;
    const from = AXIS_WIDTH + left;
    box.current.style.left = `${from + 12 + own > width ? Math.max(0, from - own - 12) : from + 12}px`;
  });
  return (
    <div class="tip" ref={box}>
      <p class="muted">{moment(times[at] * 1000)}</p>
      <ul>
        {series.map((one, number) => (
          <li key={one.label}>
            <span class={`swatch s${number}`} aria-hidden="true" />
            {one.label} <b>{format(one.values[at])}</b>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Makes the chart, and makes it anew where what it is made of changes. Gives where it is shown. */
function usePlot(props, setCursor) {
  const place = useRef(null);
  const chart = useRef(null);
  const [width, setWidth] = useState(0);
  const [isDark, setDark] = useState(() => matchMedia("(prefers-color-scheme: dark)").matches);
  const data = [props.times, ...props.series.map((one) => one.values)];
  useEffect(() => {
    const list = matchMedia("(prefers-color-scheme: dark)");
    const changed = () => setDark(list.matches);
    list.addEventListener("change", changed);
    const observer = new ResizeObserver(([{ contentRect }]) =>
      setWidth(Math.floor(contentRect.width)),
    );
    observer.observe(place.current);
    return () => {
      list.removeEventListener("change", changed);
      observer.disconnect();
    };
  }, []);
  const shape = `${props.series.map((one) => one.label)} ${isDark} ${theme.value} ${zone.value}`;
  useEffect(() => {
    if (!width) return undefined;
    chart.current = new uPlot(optionsOf(props, width, setCursor), data, place.current);
    return () => {
      chart.current.destroy();
      chart.current = null;
      setCursor(null, 0);
    };
  }, [shape, width > 0]);
  useEffect(() => chart.current?.setSize({ width, height: HEIGHT }), [width]);
  useEffect(() => chart.current?.setData(data), [props.times, props.series]);
  return { place, chart, width };
}

/** What is read aloud: the last value of each series, and the highest. */
function summary({ title, series, format, span }) {
  const words = series.map(({ label, values }) => {
    const last = lastOf(values);
    if (last === null) return `${label} unknown`;
    const top = values.reduce((most, value) => Math.max(most, value ?? 0), 0);
    return `${label} ${format(last)}, at most ${format(top)}`;
  });
  return `${title}, ${span}: ${words.join("; ")}`;
}

/**
 * A chart. `times` are UNIX seconds; `series` are `{ label, values }` with null where nothing is
 * known, three at most; `format` writes a value with its unit; `span` says in words what time is
 * shown; `isWhole` if values are whole numbers. With the focus on it arrow keys, Home and End move
 * the mark.
 */
export function Chart(props) {
  const { title, times, series, format, span } = props;
  const [mark, setMark] = useState({ at: null, left: 0 });
  const box = useRef(null);
  const { place, chart, width } = usePlot(props, (at, left) =>
    setMark({ at: left < 0 ? null : at, left }),
  );
  const isEmpty = series.every(({ values }) => lastOf(values) === null);
  const isMarked = mark.at !== null && mark.at < times.length;
  const key = (event) => {
    const last = times.length - 1;
    const now = mark.at ?? last;
    const to = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: last }[event.key];
    if (to === undefined || !chart.current || last < 0) return;
    event.preventDefault();
    const at = Math.max(0, Math.min(last, to));
    chart.current.setCursor({ left: chart.current.valToPos(times[at], "x"), top: 10 });
  };
  const said =
    isMarked && series.map((one) => `${one.label} ${format(one.values[mark.at])}`).join(", ");
  return (
    <figure class="chart">
      <figcaption>{title}</figcaption>
      <div
        class="plot"
        role="img"
        tabIndex={0}
        aria-label={summary(props)}
        ref={box}
        onKeyDown={key}
        onBlur={() => chart.current?.setCursor({ left: -10, top: -10 })}
      >
        <div ref={place} />
        {isEmpty && <p class="nothing">Nothing is known of {span}.</p>}
        {isMarked && (
          <Tip
            at={mark.at}
            left={mark.left}
            width={width}
            times={times}
            series={series}
            format={format}
          />
        )}
      </div>
      <ul class="legend">
        {series.map(({ label, values }, at) => (
          <li key={label}>
            <span class={`swatch s${at}`} aria-hidden="true" />
            {label} <b>{format(lastOf(values))}</b>
          </li>
        ))}
      </ul>
      <p class="visually-hidden" aria-live="polite">
        {isMarked &&
          document.activeElement === box.current &&
          `${moment(times[mark.at] * 1000)}: ${said}`}
      </p>
    </figure>
  );
}
