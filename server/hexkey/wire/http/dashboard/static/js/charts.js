// Two kinds of chart over the same seconds: lines, and areas on top of each other.

import uPlot from "../vendor/uplot.js";
import { colour, faint } from "./colours.js";
import { keyed, make, say } from "./dom.js";

const HEIGHT = 210;
const MAX_POINTS = 600;
const MIN_SPAN_S = 60;
const GAP_MS = 3500;
const MINOR = "11px Inter, system-ui, sans-serif";
const time = (seconds) => new Date(seconds * 1000).toLocaleTimeString("en", { hour12: false });

/**
 * A chart in `place`. `value(point)` gives its numbers by series, `paint(name)` the custom property
 * of a series' colour, `text(number)` how one is written, `names` the series that are always there.
 */
export class Chart {
  constructor(place, { label, value, paint, text, names = [], stacked = false, axis = text }) {
    Object.assign(this, { label, value, paint, text, stacked, axis });
    this.names = [...names];
    this.points = [];
    this.plot = null;
    this.box = make("div", { class: "plot", role: "img", "aria-label": label });
    this.hidden = false;
    this.nothing = make("p", { class: "empty", text: "Waiting for the first request" });
    this.legend = make("ul", { class: "legend" });
    this.box.append(this.nothing);
    place.append(this.box, this.legend);
    new ResizeObserver(() => this.resize()).observe(this.box);
  }

  /** Shows these points in place of all before. */
  reset(points) {
    this.points = points.slice(-MAX_POINTS);
    for (const point of this.points) this.learn(point);
    this.rebuild();
  }

  add(point) {
    this.points.push(point);
    if (this.points.length > MAX_POINTS) this.points.shift();
    if (this.learn(point) || !this.plot) this.rebuild();
    else this.redraw();
  }

  /** Takes in series not seen before; says whether there were some. */
  learn(point) {
    const more = Object.keys(this.value(point)).filter((name) => !this.names.includes(name));
    this.names.push(...more);
    return more.length > 0;
  }

  /** Shows a sentence where a chart would say nothing. */
  withhold(text) {
    if (this.hidden) return;
    this.hidden = true;
    say(this.nothing, text);
    this.rebuild();
  }

  rebuild() {
    this.plot?.destroy();
    this.plot = null;
    // Of one point there is no line.
    const empty = this.hidden || this.names.length === 0 || this.points.length < 2;
    this.nothing.hidden = !empty;
    this.legend.hidden = this.hidden;
    if (!empty && this.box.clientWidth) {
      this.plot = new uPlot(this.options(), this.data(), this.box);
    }
    this.tell();
  }

  redraw() {
    this.plot.setData(this.data());
    this.tell();
  }

  resize() {
    if (!this.plot) this.rebuild();
    else if (this.plot.width !== this.box.clientWidth) {
      this.plot.setSize({ width: this.box.clientWidth, height: HEIGHT });
    }
  }

  /** Columns for uPlot; a stack's are sums, the highest first, so that each covers the next. */
  data() {
    const columns = [[], ...this.names.map(() => [])];
    let before = null;
    for (const point of this.points) {
      if (before !== null && point.at_ms - before > GAP_MS) this.push(columns, before + 1000, null);
      this.push(columns, point.at_ms, this.value(point));
      before = point.at_ms;
    }
    return columns;
  }

  push(columns, at_ms, values) {
    columns[0].push(at_ms / 1000);
    let sum = 0;
    this.names.forEach((name, index) => {
      const value = values === null ? null : (values[name] ?? (this.stacked ? 0 : null));
      if (this.stacked && value !== null) sum += Math.max(0, value);
      const place = this.stacked ? this.names.length - index : index + 1;
      columns[place].push(this.stacked && value !== null ? sum : value);
    });
  }

  options() {
    const muted = colour("muted");
    const line = { stroke: muted, font: MINOR, ticks: { show: false } };
    const grid = { stroke: colour("line"), width: 1 };
    const series = this.names.map((name) => {
      const stroke = colour(this.paint(name));
      return this.stacked
        ? { stroke, fill: stroke, width: 0, points: { show: false } }
        : { stroke, fill: faint(stroke, 0.09), width: 2, points: { show: false }, spanGaps: false };
    });
    if (this.stacked) series.reverse();
    return {
      width: this.box.clientWidth,
      height: HEIGHT,
      padding: [8, 26, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
      scales: {
        x: { range: (_, low, high) => [Math.min(low, high - MIN_SPAN_S), high] },
        y: { range: (_, __, high) => [0, high > 0 ? high * 1.12 : 1] },
      },
      axes: [
        { ...line, grid: { show: false }, size: 30, space: 84, values: (_, at) => at.map(time) },
        { ...line, grid, size: 62, space: 42, values: (_, at) => at.map((one) => this.axis(one)) },
      ],
      series: [{}, ...series],
      hooks: { setCursor: [(plot) => this.tell(plot.cursor.idx)] },
    };
  }

  /** Writes the latest values, or those under the cursor, beside the names. */
  tell(index = null) {
    const at = index === null || !this.plot ? null : this.plot.data[0][index] * 1000;
    const point = this.points.find((one) => one.at_ms === at) ?? this.points.at(-1);
    const values = point ? this.value(point) : {};
    keyed(
      this.legend,
      this.names,
      (name) => name,
      (name) => {
        const swatch = make("span", { class: "swatch" });
        swatch.style.background = `var(--${this.paint(name)})`;
        return make("li", {}, swatch, `${name} `, make("b"));
      },
      (item, name) => say(item.lastChild, this.text(values[name])),
    );
    if (index === null) {
      const told = this.names.map((name) => `${name} ${this.text(values[name])}`).join(", ");
      this.box.setAttribute("aria-label", `${this.label}: ${told || "nothing yet"}`);
    }
  }
}
