// Elements without markup in strings: what comes from the server is always text.

export const byId = (id) => document.getElementById(id);

/** Makes an element; `attributes` may hold `class`, `text` and anything setAttribute takes. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "text") element.textContent = value;
    else if (key === "class") element.className = value;
    else if (value !== null && value !== false) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** Sets text only where it differs, so that a selection and a screen reader are left in peace. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Keeps one child per key, in order: made once by `create`, brought up to date by `update`. */
export function keyed(parent, items, key, create, update) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, index) => {
    const name = key(item);
    let child = old.get(name);
    old.delete(name);
    if (!child) {
      child = create(item);
      child.dataset.key = name;
    }
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
    update(child, item);
  });
  for (const child of old.values()) child.remove();
}
