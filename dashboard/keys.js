// The keys: a tree beside the node that is selected in it, search, and live events.

import { parentOf } from "./api.js";
import { h, sayError } from "./dom.js";
import { openForm } from "./form.js";
import { NodePane, RENEWED_MAX } from "./node.js";
import { Search } from "./search.js";
import { Tail } from "./tail.js";
import { Tree } from "./tree.js";

class Keys {
  #context;
  #tree = new Tree((key, byStep) => this.#selected(key, byStep).catch(sayError));
  #pane;
  #search;
  #tail;

  constructor(context, place) {
    this.#context = context;
    this.place = place;
    this.#pane = new NodePane(context, this);
    this.#search = new Search(context, this);
    this.#tail = new Tail(context);
    const refresh = h("button", { type: "button", class: "quiet", onclick: () => this.#tree.refresh().catch(sayError) }, "Refresh");
    const hidden = h("label", { class: "check" }, h("input", { type: "checkbox", onchange: (event) => {
      this.#tree.hidden = event.target.checked;
      this.#tail.hidden = event.target.checked;
      this.#tree.refresh().catch(sayError);
    } }), "Hidden nodes");
    this.element = h("div", { class: "page keys" },
      h("section", { class: "card side", "aria-labelledby": "k-title" }, h("h2", { id: "k-title" }, "Keys"), h("div", { class: "line" }, refresh, hidden), this.#unlisted(), this.#tree.element),
      h("div", { class: "stack" }, this.#pane.element, this.#search.element, this.#tail.element));
  }

  /** The way to keys in directories that may not be listed; there only where it is needed. */
  #unlisted() {
    const why = h("p", { class: "note", id: "k-unlisted", role: "status" });
    const name = h("input", { type: "text", autocomplete: "off", spellcheck: "false",
      "aria-describedby": "k-unlisted" });
    const go = (event) => {
      event.preventDefault();
      const key = `/${name.value.split("/").filter(Boolean).join("/")}`;
      this.#tree.reveal(key).catch(sayError);
    };
    const all = h("div", { hidden: true }, why, h("form", { class: "line", onsubmit: go },
      h("label", { class: "field grow" }, h("span", {}, "Key or directory"), name),
      h("button", { type: "submit" }, "Go")));
    this.#tree.onUnlisted = (error) => {
      all.hidden = error === null;
      const text = error && `${error.message} What is in it can be opened by its name.`;
      if (why.textContent !== (text ?? "")) why.textContent = text ?? "";
    };
    return all;
  }

  get hidden() {
    return this.#tree.hidden;
  }

  async start() {
    await this.#tree.refresh().catch(sayError);
    this.#tree.reveal(this.place).catch(sayError);
  }

  /** Selects a key, wherever it is. */
  goTo(key) {
    this.place = key;
    if (key !== this.#current) this.#tree.reveal(key).catch(sayError);
  }

  /** Goes to a key that was found. */
  find(key) {
    if (key !== this.#current) this.#tree.reveal(key).catch(sayError);
  }

  /** A directory has changed; `key` is to be selected. */
  async changed(dir, key) {
    // Somebody had to log in for the change, and sees another view by now.
    if (this.#context.signal.aborted) return this.#context.renew();
    await this.#tree.reload(dir);
    await this.#tree.reveal(key);
  }

  #current = null;
  #wasStep = false;

  /** `byStep`: on the way to another, so that Back leads to where the steps began. */
  async #selected(key, byStep = false) {
    if (this.#context.signal.aborted) return;
    const isNew = key !== this.place && !(byStep && this.#wasStep);
    this.#wasStep = byStep;
    this.place = key;
    this.#current = key;
    const hash = `#/keys${key.split("/").map(encodeURIComponent).join("/")}`;
    if (location.hash !== hash) history[isNew ? "pushState" : "replaceState"](null, "", hash);
    const node = await this.#pane.show(key);
    if (this.#current !== key || node === undefined) return;
    const dir = node?.dir ? key : parentOf(key);
    this.#search.at(dir);
    this.#tail.at(dir);
  }

  #index = null;
  #isRenewing = false;

  /** Has what is shown follow what has changed. */
  async healthSeen({ cluster, isSilent }) {
    if (isSilent || this.#isRenewing || openForm() || this.#index === cluster.etcdIndex) return;
    const isFirst = this.#index === null;
    this.#index = cluster.etcdIndex;
    if (isFirst || this.#current === null) return;
    this.#isRenewing = true;
    try {
      await this.#tree.renew(RENEWED_MAX);
      await this.#pane.renew(this.#current);
    } finally {
      this.#isRenewing = false;
    }
  }
}

export function keysView(context, place) {
  const keys = new Keys(context, place);
  return { element: keys.element, start: () => keys.start(), goTo: (key) => keys.goTo(key),
    healthSeen: (health) => keys.healthSeen(health) };
}
