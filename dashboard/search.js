// Search in keys and values below a directory.

import { call, keyPath } from "./api.js";
import { count, h, sayError, visible } from "./dom.js";

/** Hits that are listed at most. */
const HITS_MAX = 500;
/** Nodes that are looked at before the page may do something else. */
const SLICE = 20_000;

export class Search {
  #context;
  #keys;
  #running = null;
  #text = h("input", { type: "search", autocomplete: "off", spellcheck: "false" });
  #where = h("span", {}, "/");
  #status = h("p", { class: "note", role: "status" });
  #hits = h("ul", { class: "hits" });
  #cancel = h("button", { type: "button", class: "quiet", disabled: true, onclick: () => this.#running?.abort() }, "Cancel");
  #dir = "/";

  constructor(context, keys) {
    this.#context = context;
    this.#keys = keys;
    context.signal.addEventListener("abort", () => this.#running?.abort());
    const start = (event) => {
      event.preventDefault();
      this.#run().catch(sayError);
    };
    this.element = h("section", { class: "card", "aria-labelledby": "s-title" }, h("h2", { id: "s-title" }, "Search"),
      h("form", { class: "line", role: "search", onsubmit: start },
        h("label", { class: "field grow" }, h("span", {}, "In keys and values below ", this.#where), this.#text),
        h("button", { type: "submit" }, "Search"), this.#cancel), this.#status, this.#hits);
  }

  at(dir) {
    this.#dir = dir;
    this.#where.textContent = visible(dir);
  }

  async #run() {
    this.#running?.abort();
    const running = new AbortController();
    this.#running = running;
    this.#cancel.disabled = false;
    this.#hits.replaceChildren();
    this.#status.textContent = "Reading the directory...";
    const wanted = this.#text.value.toLowerCase();
    try {
      const hidden = this.#keys.hidden ? "&hidden=true" : "";
      const root = (await call(`${keyPath(this.#dir)}?recursive=true&sorted=true${hidden}`, { signal: running.signal })).node;
      const { hits, looked } = await this.#walk(root, wanted, running.signal);
      const more = hits.length > HITS_MAX ? `, showing the first ${count(HITS_MAX)}` : "";
      this.#status.textContent = `Found ${count(hits.length)} in ${count(looked)} nodes${more}.`;
      this.#hits.replaceChildren(...hits.slice(0, HITS_MAX).map((node) => this.#hit(node, wanted)));
    } catch (error) {
      if (this.#running !== running) return;
      this.#status.textContent = error.name === "AbortError" ? "Cancelled." : error.message;
    } finally {
      if (this.#running === running) this.#cancel.disabled = true;
    }
  }

  async #walk(root, wanted, signal) {
    const hits = [];
    const stack = [...(root.nodes ?? [])].reverse();
    let looked = 0;
    while (stack.length) {
      const node = stack.pop();
      looked += 1;
      if (node.key.slice(this.#dir === "/" ? 0 : this.#dir.length).toLowerCase().includes(wanted) || node.value?.toLowerCase().includes(wanted)) hits.push(node);
      for (let at = (node.nodes ?? []).length - 1; at >= 0; at -= 1) stack.push(node.nodes[at]);
      if (looked % SLICE === 0) {
        this.#status.textContent = `Found ${count(hits.length)} in ${count(looked)} nodes so far...`;
        await new Promise((resolve) => { setTimeout(resolve); });
        signal.throwIfAborted();
      }
    }
    return { hits, looked };
  }

  #hit(node, wanted) {
    const value = node.value ?? "";
    const at = Math.max(0, value.toLowerCase().indexOf(wanted) - 20);
    const part = `${at > 0 ? "..." : ""}${value.slice(at, at + 80)}${value.length > at + 80 ? "..." : ""}`;
    return h("li", {}, h("button", { type: "button", class: "link", onclick: () => this.#keys.find(node.key) }, visible(node.key)),
      node.dir ? h("span", { class: "tag" }, "directory") : h("code", {}, part));
  }
}
