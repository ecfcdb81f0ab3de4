// One place to type calls one endpoint: after a pause, the newest text only, streamed.

import { record } from "./calls.js";
import { events, post } from "./server.js";

const PAUSE_MS = 160;

/**
 * Calls `path` with `body(text)` once typing pauses. `on.text(so far)` hears the answer grow,
 * `on.end(answer | null)` its end; null where there is none. A newer call ends the older one.
 */
export class Caller {
  constructor({ task, path, body, meter, on }) {
    Object.assign(this, { task, path, body, meter, on });
    this.timer = 0;
    this.running = null;
  }

  /** Forgets what was asked before and, given something to ask, asks after the pause. */
  ask(text) {
    clearTimeout(this.timer);
    this.running?.abort();
    this.running = null;
    if (text !== null) this.timer = setTimeout(() => this.call(text), PAUSE_MS);
  }

  async call(text) {
    const running = new AbortController();
    this.running = running;
    const call = { task: this.task, at: Date.now(), outcome: "failed", first: null };
    const began = performance.now();
    const seconds = () => (performance.now() - began) / 1000;
    let told = "";
    try {
      const answer = await post(this.path, { ...this.body(text), stream: true }, running.signal);
      call.model = answer.headers.get("x-hexkey-model");
      for await (const { data } of events(answer)) {
        if (data === "[DONE]") break;
        const event = JSON.parse(data);
        if (event.error) throw new Error(event.error.message);
        if (event.start) call.model = event.start.model;
        if (event.usage) call.usage = event.usage;
        if (event.delta?.text && event.delta.index === 0) {
          call.first ??= seconds();
          told += event.delta.text;
          if (this.running === running) this.on.text(told);
        }
      }
      call.outcome = call.usage ? "ok" : "failed";
      call.why = call.usage ? "" : "the answer broke off";
    } catch (error) {
      call.outcome = running.signal.aborted ? "superseded" : "failed";
      call.why = error.message;
    }
    call.total = seconds();
    record(call, this.meter);
    if (this.running === running) this.on.end(call.outcome === "ok" ? told : null);
  }
}
