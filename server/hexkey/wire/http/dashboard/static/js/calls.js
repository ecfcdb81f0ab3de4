// What each call of the playground took, newest first, and all of them together.

import { byId, make, say } from "./dom.js";
import { clock, count, duration, money } from "./format.js";

const MAX_ROWS = 50;
const total = { calls: 0, superseded: 0, cost: 0, currency: "USD" };

/** Adds a call to the list and writes its meter. Times in seconds from the moment it was sent. */
export function record(call, meter) {
  total.calls += 1;
  if (call.outcome === "superseded") total.superseded += 1;
  if (call.usage?.cost !== undefined) {
    total.cost += call.usage.cost;
    total.currency = call.usage.cost_details.currency;
  }
  const usage = call.usage;
  const outcome = make("td", { class: "wide", text: call.outcome, "data-outcome": call.outcome });
  if (call.why) outcome.title = call.why;
  const row = make(
    "tr",
    {},
    make("td", { class: "wide", text: clock(call.at) }),
    make("td", { text: call.task }),
    make("td", { class: "wide", text: call.model ?? "–" }),
    outcome,
    make("td", { class: "wide", text: duration(call.first) }),
    make("td", { text: duration(call.total) }),
    make("td", { class: "wide", text: usage ? `${count(usage.input_tokens)} + ${count(usage.output_tokens)}` : "–" }),
    make("td", { text: costOf(usage) }),
  );
  const rows = byId("calls");
  rows.prepend(row);
  while (rows.children.length > MAX_ROWS) rows.lastChild.remove();
  const superseded = total.superseded ? `, ${count(total.superseded)} superseded` : "";
  const cost = total.cost ? `, ${money(total.cost, total.currency)}` : "";
  say(byId("calls-note"), `${count(total.calls)} of this page${superseded}${cost}; the text stays in it`);
  if (call.outcome !== "superseded") show(meter, call);
}

function show(meter, call) {
  if (call.outcome === "failed") {
    meter.replaceChildren(make("span", { class: "tone-bad", text: call.why }));
    return;
  }
  const fact = (value, name) => make("span", {}, make("b", { text: value }), ` ${name}`);
  meter.replaceChildren(
    make("span", { text: call.model }),
    fact(duration(call.first), "first"),
    fact(duration(call.total), "total"),
    fact(count(call.usage.output_tokens), "tokens"),
    make("span", { class: "cost", text: call.usage.cost === undefined ? "" : costOf(call.usage) }),
  );
}

const costOf = (usage) =>
  usage?.cost === undefined ? "–" : money(usage.cost, usage.cost_details.currency);
