// Auto, light or dark; the choice stays on this machine.

import { byId, say } from "./dom.js";

const KEY = "hexkey.theme";
const CHOICES = ["auto", "light", "dark"];

/** Puts the chosen theme in force; `changed` is called whenever colours change. */
export function theme(changed) {
  const button = byId("theme");
  let choice = localStorage.getItem(KEY);
  const put = () => {
    choice = CHOICES.includes(choice) ? choice : "auto";
    if (choice === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = choice;
    say(button, `Theme: ${choice}`);
  };
  button.addEventListener("click", () => {
    choice = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length];
    localStorage.setItem(KEY, choice);
    put();
    changed();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
  put();
}
