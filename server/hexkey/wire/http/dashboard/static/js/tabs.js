// Tabs as the ARIA practices have them: arrows move, one tab stop, the address tells which.

import { byId } from "./dom.js";

export function tabs() {
  const all = [...document.querySelectorAll('[role="tab"]')];
  const show = (name, focus = false) => {
    const chosen = all.find((tab) => tab.getAttribute("aria-controls") === name) ?? all[0];
    for (const tab of all) {
      const on = tab === chosen;
      tab.setAttribute("aria-selected", String(on));
      tab.tabIndex = on ? 0 : -1;
      byId(tab.getAttribute("aria-controls")).hidden = !on;
    }
    if (focus) chosen.focus();
  };
  for (const [index, tab] of all.entries()) {
    tab.addEventListener("click", () => { location.hash = tab.getAttribute("aria-controls"); });
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1, Home: -index, End: all.length - 1 - index }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      const next = all[(index + step + all.length) % all.length].getAttribute("aria-controls");
      history.replaceState(null, "", `#${next}`);
      show(next, true);
    });
  }
  const follow = () => show(location.hash.slice(1));
  addEventListener("hashchange", follow);
  follow();
}
