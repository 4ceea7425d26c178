// A line chart of the last two minutes, drawn as plain SVG.

import { h, svg } from "./dom.js";

const SECONDS = 120;
const WIDTH = 600;
const HEIGHT = 140;

function shown(value, unit) {
  const digits = value >= 100 || Number.isInteger(value) ? 0 : value >= 10 ? 1 : 2;
  return `${value.toLocaleString("en", { maximumFractionDigits: digits })}${unit ? ` ${unit}` : ""}`;
}

/** The next round number at or above a value: 1, 2 or 5 with zeros. */
function roundUp(value) {
  if (value <= 0) return 1;
  const size = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * size).find((step) => step >= value);
}

export class LineChart {
  #series = new Map();
  #unit;
  #title;
  #lines = svg("g", {});
  #legend = h("ul", { class: "legend" });
  #drawing;

  constructor(title, unit = "") {
    this.#title = title;
    this.#unit = unit;
    this.#drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" },
      svg("path", { d: `M0 1H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}M0 ${HEIGHT - 1}H${WIDTH}`, class: "grid" }),
      this.#lines);
    this.element = h("figure", { class: "chart" },
      h("figcaption", {}, h("span", {}, title), h("span", { class: "top-value" })),
      this.#drawing, this.#legend);
    this.draw();
  }

  /** Adds a point for each series, at a time in seconds. Series that are not named end. */
  push(time, values) {
    for (const [name, value] of Object.entries(values)) {
      if (!this.#series.has(name)) this.#series.set(name, []);
      if (value !== null && Number.isFinite(value)) this.#series.get(name).push([time, value]);
    }
    for (const [name, points] of this.#series) {
      while (points.length && points[0][0] < time - SECONDS) points.shift();
      if (!(name in values) && points.length === 0) this.#series.delete(name);
    }
    this.draw(time);
  }

  draw(now = 0) {
    const all = [...this.#series.values()].flat().map(([, value]) => value);
    const top = roundUp(Math.max(0, ...all));
    const lines = [];
    const items = [];
    let number = 0;
    for (const [name, points] of this.#series) {
      const place = ([time, value]) => {
        const x = WIDTH - ((now - time) / SECONDS) * WIDTH;
        const y = HEIGHT - 2 - (value / top) * (HEIGHT - 6);
        return `${x.toFixed(1)},${y.toFixed(1)}`;
      };
      const kind = `s${number % 6}`;
      lines.push(svg("polyline", { points: points.map(place).join(" "), class: `line ${kind}` }));
      const last = points.at(-1);
      items.push(h("li", {}, svg("svg", { viewBox: "0 0 24 8", class: "swatch", "aria-hidden": "true" },
        svg("path", { d: "M0 4H24", class: `line ${kind}` })),
        `${name} `, h("b", {}, last ? shown(last[1], this.#unit) : "none yet")));
      number += 1;
    }
    this.#lines.replaceChildren(...lines);
    this.#legend.replaceChildren(...items);
    this.element.querySelector(".top-value").textContent = `top ${shown(top, this.#unit)}, last two minutes`;
    const words = [...this.#series].map(([name, points]) => `${name} ${points.length ? shown(points.at(-1)[1], this.#unit) : "none yet"}`);
    this.#drawing.setAttribute("aria-label", `${this.#title}: ${words.join(", ") || "nothing yet"}`);
  }
}
