// One node: what it is, its value, and what can be done with it.

import { call, childOf, keyPath, nameOf, NoAnswer, parentOf } from "./api.js";
import { diffView, withLineEnds } from "./diff.js";
import { confirmed, count, dialog, duration, h, say, sayError, visible } from "./dom.js";
import { fillIn } from "./form.js";

/** A directory with more in it is not read again by itself. */
export const RENEWED_MAX = 2000;

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
  return h("input", { type: "number", min: "1", step: "1", value: ttl ?? "", placeholder: "never expires",
    "data-wrong": "Enter the TTL as whole seconds, at least 1, or leave it empty." });
}

/** Directories that the server alone changes. */
function isServers(dir) {
  return dir === "/_etcd" || /^\/_etcd\/(config|machines|mod)(\/|$)/.test(dir);
}

/** All that is below a node that was read with all that is in it. */
function countBelow(node) {
  let all = 0;
  const rest = [node];
  while (rest.length) {
    const nodes = rest.pop().nodes ?? [];
    all += nodes.length;
    for (const child of nodes) if (child.nodes) rest.push(child);
  }
  return all;
}

/** What of an answer is seen of a node. */
function seenOf({ modifiedIndex, createdIndex, value, expiration, nodes }) {
  return JSON.stringify([modifiedIndex, createdIndex, value, expiration, nodes?.length]);
}

export class NodePane {
  #context;
  #keys;
  #node = null;
  #wanted = null;
  #refused = false;
  #hasExpired = false;
  #isPretty = true;
  #timer = 0;
  element = h("section", { class: "card node", "aria-labelledby": "n-title" });

  /** `keys` is notified of changes: `changed(dir, key)`. */
  constructor(context, keys) {
    this.#context = context;
    this.#keys = keys;
    context.signal.addEventListener("abort", () => clearInterval(this.#timer));
  }

  /**
   * Shows a key as it is now; gives its node, null if it cannot be read, and undefined if another
   * key was wanted in the meantime.
   */
  async show(key) {
    const wanted = {};
    this.#wanted = wanted;
    try {
      const answer = await call(`${keyPath(key)}${this.#keys.hidden ? "?hidden=true" : ""}`, { signal: this.#context.signal });
      if (this.#wanted !== wanted) return undefined;
      this.#refused = false;
      // 2.x has no name for the root.
      const node = { ...answer.node, key };
      const isSame = this.#node?.key === key && seenOf(this.#node) === seenOf(node)
        && !this.#hasExpired;
      this.#node = node;
      if (!isSame) this.#draw();
      return node;
    } catch (error) {
      if (error.name === "AbortError" || this.#wanted !== wanted) return undefined;
      this.#refused = error.isRefused === true;
      clearInterval(this.#timer);
      // What was read stays while nobody answers.
      if (this.#node?.key === key && error instanceof NoAnswer) throw error;
      this.#node = null;
      this.element.replaceChildren(h("h2", { id: "n-title" }, visible(key)),
        h("p", { class: "empty" }, error.message));
      return null;
    }
  }

  /** Shows the key that is shown as it is by now, where that costs little. */
  async renew(key) {
    if (this.#refused || (this.#node?.nodes?.length ?? 0) > RENEWED_MAX) return;
    await this.show(key).catch(() => {});
  }

  get #isReadOnly() {
    return this.#context.settings.readOnly;
  }

  #draw(hasExpired = false) {
    const node = this.#node;
    const { activeElement } = document;
    const focused = this.element.contains(activeElement) ? activeElement.textContent : null;
    const { scrollTop = 0 } = this.element.querySelector(".value") ?? {};
    this.#hasExpired = hasExpired;
    clearInterval(this.#timer);
    const ttl = h("dd", {});
    const until = node.ttl === undefined ? null : performance.now() / 1000 + node.ttl;
    const countDown = () => {
      const left = until - performance.now() / 1000;
      ttl.textContent = left > 0 ? `expires in ${duration(Math.ceil(left))}` : "has expired";
      if (left <= 0) this.#draw(true);
    };
    if (hasExpired) ttl.textContent = "has expired";
    else if (until === null) ttl.textContent = "never expires";
    else {
      countDown();
      this.#timer = setInterval(countDown, 1000);
    }
    const facts = [["Kind", h("dd", {}, node.dir ? "directory" : "key")],
      ["Created at index", h("dd", {}, count(node.createdIndex))], ["Modified at index", h("dd", {}, count(node.modifiedIndex))], ["TTL", ttl]];
    if (node.dir) facts.push(["Children", h("dd", {}, count((node.nodes ?? []).length))]);
    else facts.push(["Size", h("dd", {}, `${count(new Blob([node.value]).size)} bytes`)]);
    this.element.replaceChildren(h("h2", { id: "n-title" }, visible(node.key)),
      h("dl", { class: "facts" }, ...facts.filter(([name]) => node.createdIndex !== undefined || name === "Kind" || name === "Children")
        .map(([name, value]) => h("div", {}, h("dt", {}, name), value))),
      node.dir || hasExpired ? "" : this.#value(node), this.#actions(node));
    const buttons = [...this.element.querySelectorAll("button")];
    if (focused) buttons.find((one) => one.textContent === focused)?.focus();
    const value = this.element.querySelector(".value");
    if (value) value.scrollTop = scrollTop;
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
    if (isServers(node.dir ? node.key : parentOf(node.key))) {
      return h("div", {}, h("div", { class: "buttons" }, ...buttons),
        h("p", { class: "note" }, "The server itself keeps this, and refuses changes by clients."));
    }
    if (!this.#isReadOnly && !this.#hasExpired) {
      if (node.dir) buttons.push(button("New key", () => this.#create(node.key, false)), button("New directory", () => this.#create(node.key, true)));
      else buttons.push(button("Edit", () => this.#edit(node)));
      if (node.key !== "/") buttons.push(button("Delete", () => this.#remove(node), "danger"));
    }
    return h("div", { class: "buttons" }, ...buttons);
  }

  async #create(dir, isDir) {
    const name = h("input", { type: "text", autocomplete: "off", spellcheck: "false" });
    const value = h("textarea", { rows: "8", spellcheck: "false" });
    const ttl = ttlInput();
    const inOrder = h("input", { type: "checkbox", onchange: () => { name.disabled = inOrder.checked; } });
    const body = h("div", {}, field(`Name in ${visible(dir)}`, name),
      !isDir && h("label", { class: "check" }, inOrder, "In-order key: the server assigns the next number as its name"),
      !isDir && field("Value", value), field("TTL in seconds", ttl));
    await fillIn(isDir ? "New directory" : "New key", body, ["Create", "Creating..."], async () => {
      if (inOrder.checked) return this.#createInOrder(dir, value.value, ttl.value);
      const last = name.value.split("/");
      if (last.some((part) => !part || part === "." || part === "..")) {
        throw new Error("Enter a name, such as a or a/b.");
      }
      const key = childOf(dir, name.value);
      const kind = isDir ? { dir: "true" } : { value: value.value };
      const form = { ...kind, ttl: ttl.value || undefined, prevExist: "false" };
      const made = await call(keyPath(key), { method: "PUT", form });
      say(`${visible(made.node.key)} was created.`);
      this.#changed(dir, key);
    });
  }

  /** Shows what has changed; that this fails does not undo the change. */
  #changed(dir, key) {
    this.#keys.changed(dir, key).catch(sayError);
  }

  async #createInOrder(dir, value, ttl) {
    const form = { value, ttl: ttl || undefined };
    const made = await call(keyPath(dir), { method: "POST", form });
    say(`${visible(made.node.key)} was created.`);
    this.#changed(dir, made.node.key);
  }

  /** Edits a value; what is saved is compared with the index that the editing began at. */
  async #edit(node) {
    const value = h("textarea", { rows: "14", spellcheck: "false", value: node.value });
    const ttl = ttlInput(node.ttl);
    const note = node.value.includes("\r") && h("p", { class: "note" },
      "This value has carriage returns: lines keep the ends that they have.");
    const body = h("div", {}, field("Value", value), note, field("TTL in seconds; saving restarts it", ttl));
    // By what is known of the key, which a conflict adds to.
    const base = { node };
    await fillIn(`Edit ${visible(node.key)}`, body, ["Save", "Saving..."],
      () => this.#save(base, withLineEnds(node.value, value.value), ttl.value));
  }

  /** Gives false if it is to be edited further. */
  async #save(base, value, ttl) {
    const { node } = base;
    try {
      await call(keyPath(node.key), { method: "PUT", form: { value, ttl: ttl || undefined, prevIndex: node.modifiedIndex } });
    } catch (error) {
      if (error.code === 101) return this.#conflict(base, value, ttl, error);
      if (error.code === 100) return this.#gone(node, value, ttl);
      throw error;
    }
    say(`${visible(node.key)} was saved.`);
    this.#changed(parentOf(node.key), node.key);
    return true;
  }

  async #conflict(base, value, ttl, error) {
    const now = { key: base.node.key, ...(await call(keyPath(base.node.key))).node };
    const body = h("div", {}, h("p", {}, `This key changed while you were editing. ${error.message}. The difference between the current value and yours:`), diffView(now.value ?? "", value));
    const choice = await dialog(`${visible(now.key)} has changed`, body, [["Keep the current value", "theirs", "quiet"], ["Continue editing", "edit", "quiet"], ["Overwrite with mine", "mine", "danger"]]);
    if (choice === "mine") return this.#save({ node: now }, value, ttl);
    if (choice === "edit") base.node = now;
    if (choice !== "theirs") return false;
    this.show(now.key).catch(sayError);
    return true;
  }

  async #gone(node, value, ttl) {
    const isWanted = await confirmed(`${visible(node.key)} is gone`, "The key was deleted or expired while you were editing. Create it again with your value?",
      "Create it again", undefined, "Continue editing");
    if (!isWanted) return false;
    await call(keyPath(node.key), { method: "PUT", form: { value, ttl: ttl || undefined, prevExist: "false" } });
    this.#changed(parentOf(node.key), node.key);
    return true;
  }

  async #remove(node) {
    const parent = parentOf(node.key);
    const title = `Delete ${visible(node.key)}?`;
    if (node.dir) {
      // Hidden nodes are lost as well, so they are counted.
      const below = countBelow((await call(`${keyPath(node.key)}?recursive=true&hidden=true`)).node);
      if (below) {
        const text = `Everything below ${visible(node.key)} is deleted as well: ${count(below)} ${below === 1 ? "node" : "nodes"}.`;
        if (!await confirmed(title, text, "Delete everything", nameOf(node.key))) return;
        await call(`${keyPath(node.key)}?recursive=true`, { method: "DELETE" });
      } else {
        if (!await confirmed(title, "The directory is empty.", "Delete")) return;
        await call(`${keyPath(node.key)}?dir=true`, { method: "DELETE" });
      }
    } else {
      const text = "The key is deleted, unless it changes in the meantime.";
      if (!await confirmed(title, text, "Delete")) return;
      await call(`${keyPath(node.key)}?prevIndex=${node.modifiedIndex}`, { method: "DELETE" });
    }
    say(`${visible(node.key)} was deleted.`);
    this.#changed(parent, parent);
  }
}
