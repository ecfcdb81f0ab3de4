// Autocomplete with ghost text, and translation as you type.

import { Caller } from "./caller.js";
import { byId, make, say } from "./dom.js";
import { json } from "./server.js";

const RETRY_MS = 3000;

export async function playground() {
  const models = await allModels();
  if (models.some((model) => model.tasks.includes("autocomplete"))) autocomplete();
  else missing("autocomplete");
  const pairs = models.flatMap((model) => (model.tasks.includes("translate") ? model.pairs : []));
  // One side of a pair may be any language, which is none to choose.
  const named = pairs.filter((pair) => pair.source !== "*" && pair.target !== "*");
  if (named.length) translate(named);
  else missing("translate", pairs.length ? "No model here names a pair, such as [en-pt]." : "");
}

async function allModels() {
  for (;;) {
    try {
      return (await json("/v1/models")).data;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

function missing(task, why = "") {
  const text = why || `No model here serves ${task}. Give one tasks: [${task}] in the configuration.`;
  const card = byId(task);
  card.replaceChildren(card.firstElementChild, make("p", { class: "empty", text }));
}

function autocomplete() {
  const field = byId("prefix");
  const take = byId("take");
  const session = `page-${Math.random().toString(36).slice(2)}`;
  let ghost = "";
  const show = (text) => {
    ghost = text;
    say(byId("typed"), field.value);
    say(byId("ghost"), text);
    take.disabled = !text;
  };
  const caller = new Caller({
    task: "autocomplete",
    path: "/v1/autocomplete",
    body: (prefix) => ({ prefix, session, stop_rule: byId("stop-rule").value, max_tokens: 48 }),
    meter: byId("autocomplete-meter"),
    on: {
      text: show,
      end: (text) => {
        if (text === null) show("");
        else say(byId("suggested"), text ? `Suggestion: ${text}` : "No suggestion");
      },
    },
  });
  const atEnd = () => field.selectionStart === field.value.length;
  const ask = () => {
    show("");
    caller.ask(field.value.trim() && atEnd() ? field.value : null);
  };
  const accept = () => {
    field.value += ghost;
    field.focus();
    ask();
  };
  field.addEventListener("input", ask);
  field.addEventListener("keydown", (event) => {
    if (!ghost || event.shiftKey) return;
    if (event.key === "Tab") {
      event.preventDefault();
      accept();
    } else if (event.key === "Escape") {
      caller.ask(null);
      show("");
    }
  });
  byId("stop-rule").addEventListener("change", ask);
  take.addEventListener("click", accept);
  show("");
}

function translate(pairs) {
  const source = byId("source");
  const target = byId("target");
  const text = byId("text");
  const place = byId("translation");
  const names = new Intl.DisplayNames("en", { type: "language" });
  const name = (code) => {
    try {
      return names.of(code) ?? code;
    } catch {
      return code;
    }
  };
  const option = (code) => make("option", { value: code, text: name(code) });
  const unique = (codes) => [...new Set(codes)];
  const targets = () => {
    const before = target.value;
    const codes = unique(pairs.filter((one) => one.source === source.value).map((one) => one.target));
    target.replaceChildren(...codes.map(option));
    if (codes.includes(before)) target.value = before;
    byId("swap").disabled = !pairs.some(
      (one) => one.source === target.value && one.target === source.value,
    );
  };
  const caller = new Caller({
    task: "translate",
    path: "/v1/translate",
    body: (words) => ({ text: words, source: source.value, target: target.value }),
    meter: byId("translate-meter"),
    on: {
      text: (words) => place.textContent = words,
      end: (words) => {
        if (words === null) place.textContent = "";
        place.setAttribute("aria-busy", "false");
      },
    },
  });
  const ask = () => {
    const words = text.value.trim() ? text.value : null;
    place.setAttribute("aria-busy", String(words !== null));
    if (words === null) place.textContent = "";
    caller.ask(words);
  };
  source.replaceChildren(...unique(pairs.map((one) => one.source)).map(option));
  targets();
  text.addEventListener("input", ask);
  source.addEventListener("change", () => { targets(); ask(); });
  target.addEventListener("change", () => { targets(); ask(); });
  byId("swap").addEventListener("click", () => {
    const [from, to] = [source.value, target.value];
    source.value = to;
    targets();
    target.value = from;
    if (place.textContent) text.value = place.textContent;
    targets();
    ask();
  });
}
