// Colours for canvases, which know no custom properties, and one colour for each task.

const probe = document.createElement("span");
probe.hidden = true;
document.documentElement.append(probe);

/** The colour that a custom property has in the theme of now. */
export function colour(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

/** The same colour with less of it. */
export const faint = (value, alpha) => value.replace(/^rgb\((.*)\)$/, `rgba($1, ${alpha})`);

const FIRST = ["autocomplete", "chat", "translate"];
const known = new Map(FIRST.map((task, index) => [task, index]));

/** The custom property of a task's colour; tasks keep theirs while the page is open. */
export function ofTask(task) {
  if (!known.has(task)) known.set(task, known.size);
  return `task-${known.get(task) % 8}`;
}
