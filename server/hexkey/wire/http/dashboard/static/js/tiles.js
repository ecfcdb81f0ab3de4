// The six numbers on top.

import { byId, keyed, make, say } from "./dom.js";
import { count, duration, money, number, percent, signedMoney, span } from "./format.js";

/** What there is to say of costs to who may not see them. */
const NOTHING = { price_per_hour: 0, references: [] };

export function showTiles(snapshot) {
  const told = snapshot.cost !== null;
  const cost = snapshot.cost ?? NOTHING;
  const unless = (text) => (told ? text : "not shown to you");
  const last = `last ${span(snapshot.window_s)}`;
  const slowest = snapshot.tasks
    .filter((task) => task.p95 !== null)
    .reduce((worst, task) => (worst === null || task.p95 > worst.p95 ? task : worst), null);
  const priced = cost.price_per_hour > 0;
  const best = cost.references.reduce(
    (most, one) => (most === null || one.savings > most.savings ? one : most),
    null,
  );
  const failed =
    snapshot.failed_share > 0 ? `${percent(snapshot.failed_share)} failed` : "none failed";
  show([
    {
      name: "Requests",
      value: number(snapshot.rate),
      unit: "/s",
      sub: `${count(snapshot.total)} in all, ${failed}`,
      tone: snapshot.failed_share > 0.01 ? "bad" : "",
    },
    {
      name: "p95 latency",
      value: duration(slowest?.p95),
      sub: slowest ? `${slowest.task}, ${last}` : `no requests, ${last}`,
    },
    {
      name: "Spend",
      value: priced ? money(cost.price_per_hour, cost.currency) : "–",
      unit: priced ? "/h" : "",
      sub: priced ? `${money(cost.bill, cost.currency)} in ${span(snapshot.uptime_s)}` : unless("no price is set"),
    },
    {
      name: "Per 1,000 requests",
      value: priced ? money(cost.per_thousand, cost.currency) : "–",
      sub: unless(`whole bill, ${last}`),
    },
    {
      name: "Idle",
      value: percent(cost.idle_share),
      sub: unless(`waste ${percent(cost.waste_share)} of work, ${last}`),
    },
    {
      name: "Savings",
      value: best ? signedMoney(best.savings, cost.currency) : "–",
      sub: best ? `against ${best.name}` : unless("no reference is set"),
      tone: best ? (best.savings >= 0 ? "good" : "bad") : "",
    },
  ]);
}

function show(tiles) {
  keyed(
    byId("tiles"),
    tiles,
    (tile) => tile.name,
    (tile) => {
      const value = make("dd", { class: "value" }, make("span"), make("small"));
      return make("div", { class: "tile" }, make("dt", { text: tile.name }), value, make("dd", { class: "sub" }));
    },
    (element, tile) => {
      const [, value, sub] = element.children;
      say(value.firstChild, tile.value);
      say(value.lastChild, tile.unit ?? "");
      value.className = tile.tone ? `value tone-${tile.tone}` : "value";
      say(sub, tile.sub);
      sub.title = tile.sub;
    },
  );
}
