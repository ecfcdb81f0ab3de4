// Everything this page asks the server, with the key of this tab where the server wants one.

import { byId, say } from "./dom.js";

const KEY = "hexkey.key";

/** An answer that is an error, in the server's words. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// The key with which the person chose to go on although it does not open everything.
let kept = null;

/** Fetches a path; asks the person for a key where one is needed, or once for a better one. */
export async function ask(path, options = {}) {
  for (;;) {
    const key = sessionStorage.getItem(KEY);
    const headers = { ...options.headers, ...(key ? { authorization: `Bearer ${key}` } : {}) };
    const answer = await fetch(path, { ...options, headers, cache: "no-store" });
    if (answer.ok) return answer;
    const why = await message(answer);
    const narrow = answer.status === 403;
    if ((answer.status !== 401 && !narrow) || (narrow && kept === key)) {
      throw new Refused(answer.status, why);
    }
    // Another call may have been given a key meanwhile.
    if (sessionStorage.getItem(KEY) !== key) continue;
    if (!(await keyFromPerson(key ? why : "", narrow))) kept = key;
  }
}

export const json = async (path) => (await ask(path)).json();

export const post = (path, body, signal) =>
  ask(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });

/** Yields the events of a stream as {name, data}; ends where the server ends it. */
export async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const event = { name: "message", data: "" };
        for (const line of block.split("\n")) {
          if (line.startsWith("event: ")) event.name = line.slice(7);
          else if (line.startsWith("data: ")) event.data += line.slice(6);
        }
        if (event.data) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

async function message(answer) {
  try {
    const body = await answer.json();
    return body.error.message ?? String(body.error);
  } catch {
    return `the server answered ${answer.status}`;
  }
}

let asking = null;

/** Resolves to whether there is another key; where they may, the person can keep the one there is. */
function keyFromPerson(why, mayKeep) {
  asking ??= new Promise((resolve) => {
    const dialog = byId("key-dialog");
    const stay = (event) => mayKeep || event.preventDefault();
    if (why) say(byId("key-why"), why);
    byId("key-keep").hidden = !mayKeep;
    dialog.addEventListener("cancel", stay);
    dialog.addEventListener(
      "close",
      () => {
        const another = dialog.returnValue === "open";
        if (another) sessionStorage.setItem(KEY, byId("key").value.trim());
        byId("key").value = "";
        dialog.removeEventListener("cancel", stay);
        asking = null;
        resolve(another);
      },
      { once: true },
    );
    dialog.returnValue = "";
    dialog.showModal();
  });
  return asking;
}
