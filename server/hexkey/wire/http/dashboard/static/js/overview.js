// The overview: tiles, charts, percentiles, money and models out of one snapshot.

import { Chart } from "./charts.js";
import { ofTask } from "./colours.js";
import { byId, keyed, make, say } from "./dom.js";
import * as format from "./format.js";
import { count, duration, number, span } from "./format.js";
import { KINDS, showDevices, showMoney, showSavings } from "./money.js";
import { showModels } from "./models.js";
import { showTiles } from "./tiles.js";

const PERCENTILES = ["p50", "p95", "p99"];

export class Overview {
  constructor() {
    this.percentile = 1;
    this.currency = "USD";
    const money = (value) => format.money(value, this.currency);
    this.traffic = new Chart(byId("traffic"), {
      label: "Requests per second",
      value: (point) => point.rate,
      paint: ofTask,
      text: number,
      axis: (value) => String(value),
    });
    this.spend = new Chart(byId("spend"), {
      label: "Spend per hour",
      value: (point) => point.spend,
      paint: (kind) => kind,
      text: money,
      axis: (value) => format.roughMoney(value, this.currency),
      names: Object.keys(KINDS),
      stacked: true,
    });
    this.latency = new Chart(byId("latency"), {
      label: "Latency",
      value: (point) => this.chosen(point.latency),
      paint: ofTask,
      text: (ms) => duration(ms / 1000),
    });
    this.charts = [this.traffic, this.spend, this.latency];
    this.chooser();
  }

  history(points) {
    for (const chart of this.charts) chart.reset(points);
  }

  snapshot(snapshot) {
    this.currency = snapshot.cost?.currency ?? this.currency;
    if (snapshot.cost === null) this.spend.withhold("Costs are not shown to you");
    else if (snapshot.cost.price_per_hour <= 0) this.spend.withhold("No price is set");
    for (const chart of this.charts) chart.add(snapshot.point);
    showTiles(snapshot);
    showTasks(snapshot.tasks);
    showMoney(snapshot.cost);
    showDevices(snapshot.cost);
    showSavings(snapshot.cost);
    showModels(snapshot);
    say(
      byId("latency-note"),
      `From decoded to settled, requests that went well in the last ${span(snapshot.window_s)}`,
    );
  }

  /** Draws anew, for another theme. */
  redraw() {
    for (const chart of this.charts) chart.rebuild();
  }

  chosen(latency) {
    const pairs = Object.entries(latency).map(([task, times]) => [task, times[this.percentile]]);
    return Object.fromEntries(pairs);
  }

  chooser() {
    const buttons = PERCENTILES.map((name, index) => {
      const button = make("button", { type: "button", text: name });
      button.addEventListener("click", () => choose(index));
      return button;
    });
    const choose = (index) => {
      this.percentile = index;
      this.latency.label = `Latency, ${PERCENTILES[index]}`;
      buttons.forEach((one, at) => one.setAttribute("aria-pressed", String(at === index)));
      this.latency.rebuild();
    };
    byId("percentile").append(...buttons);
    choose(this.percentile);
  }
}

const COLUMNS = [
  (task) => number(task.rate),
  (task) => duration(task.p50),
  (task) => duration(task.p95),
  (task) => duration(task.p99),
  (task) => duration(task.first_p95),
  (task) => count(Object.values(task.outcomes).reduce((sum, one) => sum + one, 0)),
];

/** Columns that a phone has no room for. */
const WIDE = new Set([0, 4]);

function showTasks(tasks) {
  const body = byId("tasks");
  if (tasks.length === 0) {
    const cell = make("td", { colspan: "7", class: "note left", text: "No request has settled yet." });
    body.replaceChildren(make("tr", {}, cell));
    return;
  }
  keyed(
    body,
    tasks,
    (task) => task.task,
    (task) => {
      const swatch = make("span", { class: "swatch" });
      swatch.style.background = `var(--${ofTask(task.task)})`;
      const name = make("th", { scope: "row" }, swatch, task.task);
      return make("tr", {}, name, ...COLUMNS.map((_, index) => make("td", { class: WIDE.has(index) ? "wide" : "" })));
    },
    (row, task) => COLUMNS.forEach((write, index) => say(row.children[index + 1], write(task))),
  );
  for (const { task, outcomes } of tasks) {
    const told = Object.entries(outcomes).map(([outcome, n]) => `${count(n)} ${outcome}`);
    body.querySelector(`[data-key="${CSS.escape(task)}"]`).title = told.join(", ");
  }
}
