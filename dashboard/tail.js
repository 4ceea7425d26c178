// Events below a directory as they happen.

import { follow } from "./api.js";
import { h, time, visible } from "./dom.js";

/** Events that are kept in the list. */
const EVENTS_MAX = 200;
/** How much of a value is shown. */
const VALUE_MAX = 120;

export class Tail {
  #context;
  #dir = "/";
  #running = null;
  #button = h("button", { type: "button", onclick: () => this.#toggle() }, "Follow");
  #where = h("span", {}, "/");
  #status = h("p", { class: "note", role: "status" }, "Not following.");
  #events = h("ul", { class: "events" });
  #hidden = h("p", { class: "note", hidden: true },
    "Events of hidden nodes come only while a hidden directory, or one in it, is followed.");

  constructor(context) {
    this.#context = context;
    context.signal.addEventListener("abort", () => this.#running?.abort());
    this.element = h("section", { class: "card", "aria-labelledby": "t-title" }, h("h2", { id: "t-title" }, "Live events"),
      h("div", { class: "line" }, h("p", { class: "grow" }, "Below ", this.#where), this.#button,
        h("button", { type: "button", class: "quiet", onclick: () => this.#events.replaceChildren() }, "Clear")),
      this.#status, this.#hidden,
      h("div", { class: "log", tabindex: "0", role: "log", "aria-live": "off", "aria-label": "Events, newest first" }, this.#events));
  }

  /** The directory that the next following is of; one that runs goes on where it is. */
  at(dir) {
    this.#dir = dir;
    if (!this.#running) this.#where.textContent = visible(dir);
  }

  /** Whether hidden nodes are shown beside the events. */
  set hidden(isShown) {
    this.#hidden.hidden = !isShown;
  }

  #stopped() {
    this.#running = null;
    this.#button.textContent = "Follow";
    this.#where.textContent = visible(this.#dir);
  }

  #toggle() {
    if (this.#running) {
      this.#running.abort();
      this.#stopped();
      this.#status.textContent = "Not following.";
      return;
    }
    const running = new AbortController();
    this.#running = running;
    this.#button.textContent = "Stop";
    this.#where.textContent = visible(this.#dir);
    this.#status.textContent = "Connecting.";
    follow(this.#dir, {
      signal: running.signal,
      onEvent: (event) => this.#add(event),
      passed: (since) => this.#context.health.passed(since),
      onState: (text) => { if (this.#running === running) this.#status.textContent = text; },
    }).then(() => { if (this.#running === running) this.#stopped(); });
  }

  #add(event) {
    const { node, action } = event;
    const value = node.value ?? "";
    const shown = value.length > VALUE_MAX ? `${value.slice(0, VALUE_MAX)}...` : value;
    const kind = ["delete", "expire", "compareAndDelete"].includes(action) ? "removed" : "added";
    this.#events.prepend(h("li", {}, h("time", {}, time(Date.now())), h("span", { class: `tag ${kind}` }, action),
      h("b", {}, visible(node.key)), node.dir ? h("span", { class: "tag" }, "directory") : h("code", {}, shown), h("span", { class: "index" }, String(node.modifiedIndex))));
    while (this.#events.childElementCount > EVENTS_MAX) this.#events.lastElementChild.remove();
  }
}
