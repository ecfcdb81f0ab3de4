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
const PARTS = ["Device", "per hour", "spent", "idle"];
const WITHHELD = "Costs are not shown to you: cost.expose in the configuration says to whom.";
/** Columns that a phone has no room for. */
const wide = (text) => (text === "this machine" ? "wide" : "");

export function showMoney(cost) {
  const place = byId("money");
  if (cost === null) {
    empty(place, WITHHELD);
    return;
  }
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

/** The parts of the machine, where there are several. */
export function showDevices(cost) {
  const place = byId("devices");
  place.hidden = cost === null || cost.devices.length < 2;
  if (place.hidden) return;
  keyed(
    table(place, PARTS),
    cost.devices,
    (one) => one.name,
    (one) => line(one.name, PARTS),
    (row, one) => {
      say(row.children[1], cost.price_per_hour > 0 ? money(one.price_per_hour, cost.currency) : "–");
      say(row.children[2], cost.price_per_hour > 0 ? money(one.bill, cost.currency) : "–");
      say(row.children[3], percent(one.idle_share));
    },
  );
}

export function showSavings(cost) {
  const place = byId("savings");
  if (cost === null) {
    empty(place, WITHHELD);
    return;
  }
  if (cost.references.length === 0) {
    empty(place, "No reference is set. List prices you know under cost.references in the configuration, and the difference shows here.");
    return;
  }
  keyed(
    table(place, HEAD),
    cost.references,
    (one) => one.name,
    (one) => line(one.name, HEAD),
    (row, one) => {
      say(row.children[1], money(one.counterfactual, cost.currency));
      say(row.children[2], money(cost.bill, cost.currency));
      say(row.children[3], signedMoney(one.savings, cost.currency));
      row.children[3].className = one.savings >= 0 ? "tone-good" : "tone-bad";
    },
  );
}

/** The body of a table with these columns; the table is made where there is none. */
function table(place, head) {
  if (!place.querySelector("table")) {
    const cells = head.map((text) => make("th", { scope: "col", class: wide(text), text }));
    const made = make("table", {}, make("thead", {}, make("tr", {}, ...cells)), make("tbody"));
    place.replaceChildren(make("div", { class: "scroll" }, made));
  }
  return place.querySelector("tbody");
}

/** A row of such a table, with its name and empty cells. */
function line(name, head) {
  const cells = head.slice(1).map((text) => make("td", { class: wide(text) }));
  return make("tr", {}, make("th", { scope: "row", text: name }), ...cells);
}

function empty(place, text) {
  if (!place.querySelector(".empty")) place.replaceChildren(make("p", { class: "empty" }));
  say(place.firstChild, text);
}
