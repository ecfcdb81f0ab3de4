// The page: tabs, theme, the live overview and the playground.

import { byId, say } from "./dom.js";
import { follow } from "./feed.js";
import { Overview } from "./overview.js";
import { playground } from "./playground.js";
import { tabs } from "./tabs.js";
import { theme } from "./theme.js";

const overview = new Overview();

theme(() => overview.redraw());
tabs();
follow({
  history: (points) => overview.history(points),
  snapshot: (snapshot) => overview.snapshot(snapshot),
  link: (state, text) => {
    byId("link").dataset.state = state;
    say(byId("link-text"), text);
  },
});
playground();
