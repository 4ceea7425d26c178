// Small helpers to build and to talk: elements, messages, dialogs.

const SVG = "http://www.w3.org/2000/svg";

function build(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An element with attributes; those that begin with "on" are listeners. */
export function h(tag, attributes, ...children) {
  return build(document.createElement(tag), attributes, children);
}

/** The same for drawings. */
export function svg(tag, attributes, ...children) {
  return build(document.createElementNS(SVG, tag), attributes, children);
}

/** Says something for a while, to those who listen too. */
export function say(text, kind = "info") {
  const place = document.getElementById("messages");
  const message = h("p", { class: `message ${kind}` }, text);
  place.append(message);
  setTimeout(() => message.remove(), kind === "error" ? 12000 : 5000);
}

/**
 * A table whose rows are drawn anew while the table itself stays, so that whoever has scrolled it
 * aside or moved the focus into it is left where they are. `data-focus` names what may be focused in a row.
 */
export class Table {
  #caption;
  #body = h("tbody", {});
  #columns;
  #empty;

  constructor(label, heads, empty = "") {
    this.#columns = heads.length;
    this.#empty = empty;
    this.#caption = h("caption", {}, label);
    this.element = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, h("table", {}, this.#caption,
      h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col" }, head)))), this.#body));
  }

  set caption(text) {
    this.#caption.textContent = text;
  }

  show(rows) {
    const focused = this.#body.contains(document.activeElement) && document.activeElement.dataset.focus;
    this.#body.replaceChildren(...(rows.length ? rows : [h("tr", {}, h("td", { colspan: this.#columns, class: "empty" }, this.#empty))]));
    if (focused) this.#body.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }
}

/** Shows an error in the words that it came with. */
export function sayError(error) {
  if (error.name !== "AbortError") say(error.message, "error");
}

let dialogs = 0;

/**
 * Opens a dialog with a body and buttons `[label, result, class]`. Gives the result of the button
 * that was chosen, null if none was. `ready` is called with a map of the buttons by label.
 */
export function dialog(title, body, buttons, ready) {
  return new Promise((resolve) => {
    dialogs += 1;
    const id = `dialog-${dialogs}`;
    const done = (result) => {
      box.close();
      box.remove();
      resolve(result);
    };
    const made = new Map();
    for (const [label, result, kind] of buttons) {
      const press = () => done(typeof result === "function" ? result() : result);
      made.set(label, h("button", { type: "button", class: kind, onclick: press }, label));
    }
    const box = h("dialog", { "aria-labelledby": id, oncancel: () => done(null) },
      h("h2", { id }, title), body, h("div", { class: "buttons" }, ...made.values()));
    document.body.append(box);
    ready?.(made);
    box.showModal();
  });
}

/** Asks before something is lost. With `typed`, the word has to be typed first. */
export async function confirmed(title, text, action, typed) {
  const field = typed && h("input", { type: "text", autocomplete: "off", spellcheck: "false" });
  const body = h("div", {}, h("p", {}, text),
    field && h("label", { class: "field" }, `Type ${typed} to confirm`, field));
  const buttons = [["Cancel", false, "quiet"], [action, true, "danger"]];
  return await dialog(title, body, buttons, (made) => {
    if (!field) return;
    const button = made.get(action);
    const check = () => { button.disabled = field.value !== typed; };
    field.addEventListener("input", check);
    check();
  }) === true;
}

/** A number with its thousands apart. */
export function count(number) {
  return number === null || number === undefined ? "unknown" : number.toLocaleString("en");
}

/** Seconds in words of at most two units. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "unknown";
  const whole = Math.max(0, Math.floor(seconds));
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const words = [];
  let left = whole;
  for (const [size, name] of units) {
    if (left >= size || (size === 1 && words.length === 0)) {
      words.push(`${Math.floor(left / size)} ${name}`);
      left %= size;
    }
    if (words.length === 2) break;
  }
  return words.join(" ");
}
