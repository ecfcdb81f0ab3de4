// The live feed: history first, then a snapshot a second, again and again after a loss.

import { ask, events } from "./server.js";

const FIRST_WAIT_MS = 1000;
const MAX_WAIT_MS = 15000;

/** Calls `on.history(points)`, `on.snapshot(snapshot)` and `on.link(state, text)` for ever. */
export async function follow(on) {
  let wait = FIRST_WAIT_MS;
  for (;;) {
    await visible();
    const leaving = new AbortController();
    const hide = () => document.hidden && leaving.abort();
    document.addEventListener("visibilitychange", hide);
    let why = "Server gone";
    try {
      const answer = await ask("/dashboard/feed", { signal: leaving.signal });
      for await (const { name, data } of events(answer)) {
        on[name](JSON.parse(data));
        on.link("live", "Live");
        wait = FIRST_WAIT_MS;
      }
    } catch (error) {
      if (error.status) why = error.message;
    } finally {
      document.removeEventListener("visibilitychange", hide);
    }
    if (document.hidden) continue;
    on.link("lost", `${why}, trying again`);
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(wait * 2, MAX_WAIT_MS);
  }
}

/** A page nobody sees asks for nothing. */
function visible() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    const check = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", check);
      resolve();
    };
    document.addEventListener("visibilitychange", check);
  });
}
