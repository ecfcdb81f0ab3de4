// Each model: its state, what it does now, what it cost.

import { byId, keyed, make, say } from "./dom.js";
import { count, money, number, percent } from "./format.js";

const FACTS = {
  "in work": (model) => count(model.in_flight),
  "tokens/s": (model) => number(model.tokens_per_second),
  requests: (model) => count(model.requests),
  cost: (model, cost) => (cost?.price_per_hour > 0 ? money(model.cost, cost.currency) : "–"),
};

export function showModels({ models, cost }) {
  const several = new Set(models.map((model) => model.device)).size > 1;
  const ready = models.filter((model) => model.state === "ready").length;
  say(byId("models-note"), `${ready} of ${models.length} serve`);
  keyed(
    byId("models"),
    models,
    (model) => model.name,
    (model) => {
      const title = make("h3", {}, make("span", { text: model.name, title: model.name }), make("span", { class: "badge" }));
      const facts = Object.keys(FACTS).flatMap((name) => [make("dt", { text: name }), make("dd")]);
      const load = make("div", { class: "load", role: "img" }, make("span"));
      return make("li", { class: "model" }, title, make("p", { class: "note" }), make("dl", {}, ...facts), load);
    },
    (card, model) => {
      const [title, note, facts, load] = card.children;
      const state = model.state === "ready" && !model.trusted ? "failing" : model.state;
      say(title.lastChild, state);
      title.lastChild.dataset.state = state;
      const restarts = model.restarts ? `, ${count(model.restarts)} restarts` : "";
      const place = several ? ` on ${model.device}` : "";
      say(note, [model.tasks.join(", "), model.pairs.join(", ")].filter(Boolean).join(": ") + place + restarts);
      Object.values(FACTS).forEach((write, index) => {
        say(facts.children[2 * index + 1], write(model, cost));
      });
      load.setAttribute("aria-label", `computes ${percent(model.busy_share)} of the time`);
      load.title = load.getAttribute("aria-label");
      load.firstChild.style.transform = `scaleX(${model.busy_share ?? 0})`;
    },
  );
}
