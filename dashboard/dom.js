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

/** Cannot be seen, or changes how what is around it is drawn. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\u115f\u1160\u2800\u3164\uffa0]|(?! )\p{Zs}/gu;
/** Spaces that begin or end a name. */
const EDGES = /(?<=^|\/) +| +(?=\/|$)/g;

function escaped(letter) {
  return `\\u{${letter.codePointAt(0).toString(16)}}`;
}

/** A sentence, in which no name can do anything to how the rest is drawn. */
export function sentence(text) {
  return text.replace(UNSEEN, escaped);
}

/** A name or key as it can be seen: what cannot be seen in it is escaped. */
export function visible(name) {
  return sentence(name).replace(EDGES, (spaces) => escaped(" ").repeat(spaces.length));
}

/** A moment in milliseconds as a time of the day. */
export function time(moment) {
  return new Date(moment).toLocaleTimeString();
}

/** Says something for a while, to those who listen too. */
export function say(text, kind = "info") {
  const place = document.getElementById("messages");
  const message = h("p", { class: `message ${kind}` }, sentence(text));
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
 * that was chosen, null if none was or if the page goes elsewhere. `ready` is called with a map of
 * the buttons by label.
 */
export function dialog(title, body, buttons, ready) {
  return new Promise((resolve) => {
    dialogs += 1;
    const id = `dialog-${dialogs}`;
    const done = (result) => {
      removeEventListener("hashchange", none);
      box.remove();
      resolve(result);
    };
    const none = () => done(null);
    const made = new Map();
    for (const [label, result, kind] of buttons) {
      const press = () => done(typeof result === "function" ? result() : result);
      made.set(label, h("button", { type: "button", class: kind, onclick: press }, label));
    }
    const box = h("dialog", { "aria-labelledby": id, onclose: none },
      h("h2", { id }, sentence(title)), body, h("div", { class: "buttons" }, ...made.values()));
    // What is asked is of the place where it was asked.
    addEventListener("hashchange", none);
    document.body.append(box);
    ready?.(made);
    box.showModal();
  });
}

/** Asks before something is lost. With `typed`, the word has to be typed first. */
export async function confirmed(title, text, action, typed, stay = "Cancel") {
  const field = typed && h("input", { type: "text", autocomplete: "off", spellcheck: "false" });
  const word = typed && visible(typed);
  const body = h("div", {}, h("p", {}, sentence(text)),
    field && h("label", { class: "field" }, `Type ${word} to confirm`, field));
  const buttons = [[stay, false, "quiet"], [action, true, "danger"]];
  return await dialog(title, body, buttons, (made) => {
    if (!field) return;
    const button = made.get(action);
    const check = () => { button.disabled = field.value !== word; };
    field.addEventListener("input", check);
    field.addEventListener("keydown", (event) => { if (event.key === "Enter") button.click(); });
    // The field and not the first button.
    field.autofocus = true;
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
