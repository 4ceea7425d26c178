// One node: what it is, its value, and what can be done with it.

import { call, childOf, keyPath, nameOf, parentOf } from "./api.js";
import { diffView } from "./diff.js";
import { confirmed, count, dialog, duration, h, say, sayError } from "./dom.js";

/** The value, indented if it is JSON. */
function pretty(value) {
  try {
    const parsed = JSON.parse(value);
    return typeof parsed === "object" && parsed !== null ? JSON.stringify(parsed, null, 2) : null;
  } catch {
    return null;
  }
}

function field(label, input) {
  return h("label", { class: "field" }, h("span", {}, label), input);
}

function ttlInput(ttl) {
  return h("input", { type: "number", min: "1", step: "1", value: ttl ?? "", placeholder: "never expires" });
}

export class NodePane {
  #context;
  #keys;
  #node = null;
  #isPretty = true;
  #timer = 0;
  element = h("section", { class: "card node", "aria-labelledby": "n-title" });

  /** `keys` is notified of changes: `changed(dir, key)`. */
  constructor(context, keys) {
    this.#context = context;
    this.#keys = keys;
    context.signal.addEventListener("abort", () => clearInterval(this.#timer));
  }

  /** Shows a key as it is now. */
  async show(key) {
    try {
      const answer = await call(`${keyPath(key)}${this.#keys.hidden ? "?hidden=true" : ""}`, { signal: this.#context.signal });
      // 2.x has no name for the root.
      this.#node = { key, ...answer.node };
      this.#draw();
    } catch (error) {
      if (error.name === "AbortError") return;
      clearInterval(this.#timer);
      this.#node = null;
      this.element.replaceChildren(h("h2", { id: "n-title" }, key), h("p", { class: "empty" }, error.message));
    }
  }

  get #isReadOnly() {
    return this.#context.settings.readOnly;
  }

  #draw() {
    const node = this.#node;
    clearInterval(this.#timer);
    const ttl = h("dd", {});
    const until = node.ttl === undefined ? null : performance.now() / 1000 + node.ttl;
    const countDown = () => {
      const left = until - performance.now() / 1000;
      ttl.textContent = left > 0 ? `expires in ${duration(Math.ceil(left))}` : "has expired";
    };
    if (until === null) ttl.textContent = "never expires";
    else {
      countDown();
      this.#timer = setInterval(countDown, 1000);
    }
    const facts = [["Kind", h("dd", {}, node.dir ? "directory" : "key")],
      ["Created at index", h("dd", {}, count(node.createdIndex))], ["Modified at index", h("dd", {}, count(node.modifiedIndex))], ["TTL", ttl]];
    if (node.dir) facts.push(["Children", h("dd", {}, count((node.nodes ?? []).length))]);
    else facts.push(["Size", h("dd", {}, `${count(new Blob([node.value]).size)} bytes`)]);
    this.element.replaceChildren(h("h2", { id: "n-title" }, node.key),
      h("dl", { class: "facts" }, ...facts.filter(([name]) => node.createdIndex !== undefined || name === "Kind" || name === "Children")
        .map(([name, value]) => h("div", {}, h("dt", {}, name), value))),
      node.dir ? "" : this.#value(node), this.#actions(node));
  }

  #value(node) {
    const indented = pretty(node.value);
    const text = indented !== null && this.#isPretty ? indented : node.value;
    const toggle = indented !== null && h("label", { class: "check" }, h("input", { type: "checkbox", checked: this.#isPretty,
      onchange: (event) => { this.#isPretty = event.target.checked; this.#draw(); } }), "Indent JSON");
    return h("div", {}, toggle, h("pre", { class: "value", tabindex: "0", role: "region", "aria-label": "Value" }, text === "" ? "(empty)" : text));
  }

  #actions(node) {
    const button = (text, run, kind) => h("button", { type: "button", class: kind, onclick: () => run().catch(sayError) }, text);
    const buttons = [button("Reload", () => this.show(node.key), "quiet")];
    if (!this.#isReadOnly) {
      if (node.dir) buttons.push(button("New key", () => this.#create(node.key, false)), button("New directory", () => this.#create(node.key, true)));
      else buttons.push(button("Edit", () => this.#edit(node, node.value)));
      if (node.key !== "/") buttons.push(button("Delete", () => this.#remove(node), "danger"));
    }
    return h("div", { class: "buttons" }, ...buttons);
  }

  /**
   * Has a dialog filled in, and does what is wanted. Where somebody has to log in first, or has no
   * right to it, the dialog opens again with what was typed.
   */
  async #filled(title, body, buttons, run) {
    const refusal = h("p", { class: "wrong", role: "alert" });
    const all = h("div", {}, refusal, body);
    while (await dialog(title, all, buttons)) {
      try {
        return await run();
      } catch (error) {
        if (!error.isRefused) throw error;
        refusal.textContent = error.message;
      }
    }
  }

  async #create(dir, isDir) {
    const name = h("input", { type: "text", autocomplete: "off", spellcheck: "false" });
    const value = h("textarea", { rows: "8", spellcheck: "false" });
    const ttl = ttlInput();
    const inOrder = h("input", { type: "checkbox", onchange: () => { name.disabled = inOrder.checked; } });
    const body = h("div", {}, field(`Name in ${dir}`, name),
      !isDir && h("label", { class: "check" }, inOrder, "In-order key: the server assigns the next number as its name"),
      !isDir && field("Value", value), field("TTL in seconds", ttl));
    await this.#filled(isDir ? "New directory" : "New key", body,
      [["Cancel", null, "quiet"], ["Create", true]], async () => {
        if (inOrder.checked) return this.#createInOrder(dir, value.value, ttl.value);
        const last = name.value.split("/");
        if (last.some((part) => !part || part === "." || part === "..")) {
          throw new Error("Enter a name, such as a or a/b.");
        }
        const key = childOf(dir, name.value);
        const kind = isDir ? { dir: "true" } : { value: value.value };
        const form = { ...kind, ttl: ttl.value || undefined, prevExist: "false" };
        const made = await call(keyPath(key), { method: "PUT", form });
        say(`${made.node.key} was created.`);
        this.#keys.changed(dir, key);
      });
  }

  async #createInOrder(dir, value, ttl) {
    const form = { value, ttl: ttl || undefined };
    const made = await call(keyPath(dir), { method: "POST", form });
    say(`${made.node.key} was created.`);
    this.#keys.changed(dir, made.node.key);
  }

  /** Edits a value; what is saved is compared with the index that the editing began at. */
  async #edit(node, draft) {
    const value = h("textarea", { rows: "14", spellcheck: "false", value: draft });
    const ttl = ttlInput(node.ttl);
    const body = h("div", {}, field("Value", value), field("TTL in seconds; saving restarts it", ttl));
    await this.#filled(`Edit ${node.key}`, body, [["Cancel", null, "quiet"], ["Save", true]],
      () => this.#save(node, value.value, ttl.value));
  }

  async #save(node, value, ttl) {
    try {
      await call(keyPath(node.key), { method: "PUT", form: { value, ttl: ttl || undefined, prevIndex: node.modifiedIndex } });
      say(`${node.key} was saved.`);
      this.#keys.changed(parentOf(node.key), node.key);
    } catch (error) {
      if (error.code === 101) return this.#conflict(node, value, ttl, error);
      if (error.code === 100) return this.#gone(node, value, ttl);
      throw error;
    }
  }

  async #conflict(node, value, ttl, error) {
    const now = { key: node.key, ...(await call(keyPath(node.key))).node };
    const body = h("div", {}, h("p", {}, `This key changed while you were editing. ${error.message}. The difference between the current value and yours:`), diffView(now.value ?? "", value));
    const choice = await dialog(`${node.key} has changed`, body, [["Keep the current value", "theirs", "quiet"], ["Continue editing", "edit", "quiet"], ["Overwrite with mine", "mine", "danger"]]);
    if (choice === "mine") return this.#save(now, value, ttl);
    if (choice === "edit") return this.#edit(now, value);
    return this.show(node.key);
  }

  async #gone(node, value, ttl) {
    if (!await confirmed(`${node.key} is gone`, "The key was deleted or expired while you were editing. Create it again with your value?", "Create it again")) {
      return this.#keys.changed(parentOf(node.key), parentOf(node.key));
    }
    await call(keyPath(node.key), { method: "PUT", form: { value, ttl: ttl || undefined, prevExist: "false" } });
    this.#keys.changed(parentOf(node.key), node.key);
  }

  async #remove(node) {
    const parent = parentOf(node.key);
    if (node.dir) {
      // Hidden children are lost as well, so they are counted.
      const children = (await call(`${keyPath(node.key)}?hidden=true`)).node.nodes ?? [];
      if (children.length) {
        const text = `Everything in ${node.key} is deleted as well: ${count(children.length)} nodes and everything below them.`;
        if (!await confirmed(`Delete ${node.key}?`, text, "Delete everything", nameOf(node.key))) return;
        await call(`${keyPath(node.key)}?recursive=true`, { method: "DELETE" });
      } else {
        if (!await confirmed(`Delete ${node.key}?`, "The directory is empty.", "Delete")) return;
        await call(`${keyPath(node.key)}?dir=true`, { method: "DELETE" });
      }
    } else {
      if (!await confirmed(`Delete ${node.key}?`, "The key is deleted, unless it changes in the meantime.", "Delete")) return;
      await call(`${keyPath(node.key)}?prevIndex=${node.modifiedIndex}`, { method: "DELETE" });
    }
    say(`${node.key} was deleted.`);
    this.#keys.changed(parent, parent);
  }
}
