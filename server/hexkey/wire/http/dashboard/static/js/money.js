// Where the bill went, and what the same traffic would have cost elsewhere.

import { byId, keyed, make, say } from "./dom.js";
import { money, percent, signedMoney } from "./format.js";

export const KINDS = {
  active: "requests",
  idle: "models that wait for work",
  load: "loading models",
  overhead: "work for nobody",
  unallocated: "memory no model holds",
};

const HEAD = ["Reference", "would have cost", "this machine", "saved"];
/** Columns that a phone has no room for. */
const wide = (text) => (text === "this machine" ? "wide" : "");

export function showMoney(cost) {
  const place = byId("money");
  if (cost.price_per_hour <= 0) {
    empty(place, "No price is set. Write cost.price_per_hour in the configuration, and every cent is accounted for here.");
    return;
  }
  const total = Object.values(cost.kinds).reduce((sum, one) => sum + Math.max(0, one), 0);
  const share = (kind) => (total > 0 ? Math.max(0, cost.kinds[kind]) / total : 0);
  const [stack, rows] = parts(place);
  const kinds = Object.keys(KINDS);
  keyed(
    stack,
    kinds.filter((kind) => share(kind) > 0),
    (kind) => kind,
    (kind) => make("span", { class: `paint-${kind}` }),
    (bar, kind) => { bar.style.flexGrow = share(kind); },
  );
  keyed(
    rows,
    kinds,
    (kind) => kind,
    (kind) =>
      make(
        "li",
        {},
        make("span", { class: `swatch paint-${kind}` }),
        make("span", { class: "name" }, `${kind} `, make("span", { class: "note", text: KINDS[kind] })),
        make("b"),
        make("span", { class: "note" }),
      ),
    (row, kind) => {
      say(row.children[2], money(cost.kinds[kind], cost.currency));
      say(row.children[3], percent(share(kind)));
    },
  );
}

function parts(place) {
  if (!place.querySelector(".stack")) {
    const stack = make("div", { class: "stack", "aria-hidden": "true" });
    place.replaceChildren(stack, make("ul", { class: "rows" }));
  }
  return place.children;
}

export function showSavings(cost) {
  const place = byId("savings");
  if (cost.references.length === 0) {
    empty(place, "No reference is set. List prices you know under cost.references in the configuration, and the difference shows here.");
    return;
  }
  if (!place.querySelector("table")) {
    const cells = HEAD.map((text) => make("th", { scope: "col", class: wide(text), text }));
    const table = make("table", {}, make("thead", {}, make("tr", {}, ...cells)), make("tbody"));
    place.replaceChildren(make("div", { class: "scroll" }, table));
  }
  keyed(
    place.querySelector("tbody"),
    cost.references,
    (one) => one.name,
    (one) => 
      make(
        "tr",
        {},
        make("th", { scope: "row", text: one.name }),
        ...HEAD.slice(1).map((text) => make("td", { class: wide(text) })),
      ),
    (row, one) => {
      say(row.children[1], money(one.counterfactual, cost.currency));
      say(row.children[2], money(cost.bill, cost.currency));
      say(row.children[3], signedMoney(one.savings, cost.currency));
      row.children[3].className = one.savings >= 0 ? "tone-good" : "tone-bad";
    },
  );
}

function empty(place, text) {
  if (!place.querySelector(".empty")) place.replaceChildren(make("p", { class: "empty" }));
  say(place.firstChild, text);
}
