// The keys: a tree beside the node that is selected in it, search, and live events.

import { parentOf } from "./api.js";
import { h, sayError } from "./dom.js";
import { NodePane } from "./node.js";
import { Search } from "./search.js";
import { Tail } from "./tail.js";
import { Tree } from "./tree.js";

class Keys {
  #tree = new Tree((key) => this.#selected(key));
  #pane;
  #search;
  #tail;

  constructor(context, place) {
    this.place = place;
    this.#pane = new NodePane(context, this);
    this.#search = new Search(context, this);
    this.#tail = new Tail(context);
    const refresh = h("button", { type: "button", class: "quiet", onclick: () => this.#tree.refresh().catch(sayError) }, "Refresh");
    const hidden = h("label", { class: "check" }, h("input", { type: "checkbox", onchange: (event) => {
      this.#tree.hidden = event.target.checked;
      this.#tree.refresh().catch(sayError);
    } }), "Hidden nodes");
    this.element = h("div", { class: "page keys" },
      h("section", { class: "card side", "aria-labelledby": "k-title" }, h("h2", { id: "k-title" }, "Keys"), h("div", { class: "line" }, refresh, hidden), this.#tree.element),
      h("div", { class: "stack" }, this.#pane.element, this.#search.element, this.#tail.element));
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
    if (key !== this.#current) this.#tree.reveal(key).catch(sayError);
  }

  /** A directory has changed; `key` is to be selected. */
  async changed(dir, key) {
    await this.#tree.reload(dir);
    await this.#tree.reveal(key);
  }

  #current = null;

  #selected(key) {
    this.#current = key;
    const hash = `#/keys${key.split("/").map(encodeURIComponent).join("/")}`;
    if (location.hash !== hash) history.replaceState(null, "", hash);
    const node = this.#tree.selected;
    const dir = node.key === key && node.dir ? key : parentOf(key);
    this.#search.at(dir);
    this.#tail.at(dir);
    this.#pane.show(key);
  }
}

export function keysView(context, place) {
  const keys = new Keys(context, place);
  return { element: keys.element, start: () => keys.start(), goTo: (key) => keys.goTo(key) };
}
