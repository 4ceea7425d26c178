// Forms in dialogs. What is typed into one stays until the server has taken it, or until whoever
// typed it throws it away.

import { confirmed, h, sentence } from "./dom.js";

let forms = 0;
let current = null;

/** The form that is open, null if none is. */
export function openForm() {
  return current;
}

// A tab that is closed or loaded anew asks in the browser's own words.
addEventListener("beforeunload", (event) => {
  if (current?.isChanged) event.preventDefault();
});

class Form {
  #box;
  #wrong = h("p", { class: "wrong", role: "alert" });
  #submit;
  #action;
  #run;
  #resolve;
  #isBusy = false;
  #isDone = false;
  #isAsking = false;
  #fields;
  #before;
  /** Where the page is while the form is open. */
  address = location.hash;

  constructor(title, body, [action, running], run, resolve) {
    forms += 1;
    const id = `form-${forms}`;
    this.#action = { still: action, running };
    this.#run = run;
    this.#resolve = resolve;
    this.#submit = h("button", { type: "submit" }, action);
    const cancel = h(
      "button",
      { type: "button", class: "quiet", onclick: () => this.leave() },
      "Cancel",
    );
    const send = (event) => {
      event.preventDefault();
      this.#send();
    };
    this.#box = h(
      "dialog",
      { "aria-labelledby": id, onkeydown: (event) => this.#key(event) },
      h(
        "form",
        { novalidate: true, onsubmit: send },
        h("h2", { id }, sentence(title)),
        body,
        this.#wrong,
        h("div", { class: "buttons" }, cancel, this.#submit),
      ),
    );
    this.#box.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.leave();
    });
    // A browser may close a dialog without asking.
    this.#box.addEventListener("close", () => {
      if (this.#isDone) return;
      this.#box.showModal();
      this.leave();
    });
    this.#fields = [...this.#box.querySelectorAll("input, textarea")];
    this.#before = this.#typed();
    document.body.append(this.#box);
    current = this;
    this.#box.showModal();
    this.#fields.find((field) => !field.disabled && field.type !== "checkbox")?.focus();
  }

  #typed() {
    return JSON.stringify(
      this.#fields.map((field) => [field.value, field.checked, field.validity.badInput]),
    );
  }

  /** Whether something would be lost. */
  get isChanged() {
    return this.#isBusy || this.#typed() !== this.#before;
  }

  #key(event) {
    if (event.key === "Escape") {
      event.preventDefault();
      this.leave();
    } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.#send();
    }
  }

  #close(result) {
    if (this.#isDone) return;
    this.#isDone = true;
    current = null;
    this.#box.close();
    this.#box.remove();
    this.#resolve(result);
  }

  /** Closes it, after asking where something would be lost. Gives whether it is closed. */
  async leave() {
    if (this.#isAsking) return false;
    if (this.isChanged) {
      this.#isAsking = true;
      const text = this.#isBusy
        ? "The change has been sent and may still be made. What you typed is lost."
        : "What you typed is lost.";
      const isLost = await confirmed(
        "Discard what you typed?",
        text,
        "Discard",
        undefined,
        "Continue editing",
      );
      this.#isAsking = false;
      if (!isLost) return this.#isDone;
    }
    this.#close(false);
    return true;
  }

  #say(text, field) {
    this.#wrong.textContent = sentence(text);
    field?.setAttribute("aria-invalid", "true");
    field?.focus();
  }

  async #send() {
    if (this.#isBusy) return;
    this.#say("");
    for (const field of this.#fields) field.removeAttribute("aria-invalid");
    const wrong = this.#fields.find((field) => !field.disabled && !field.validity.valid);
    if (wrong) return this.#say(wrong.dataset.wrong, wrong);
    this.#isBusy = true;
    this.#submit.textContent = this.#action.running;
    // Not disabled, which would lose the focus.
    this.#submit.setAttribute("aria-disabled", "true");
    try {
      const isTaken = (await this.#run()) !== false;
      this.#isBusy = false;
      if (isTaken) this.#close(true);
    } catch (error) {
      this.#isBusy = false;
      this.#say(error.message);
    }
    this.#submit.textContent = this.#action.still;
    this.#submit.removeAttribute("aria-disabled");
  }
}

/**
 * Has a form filled in. `action` is the words of its button, and those while `run` is on its way.
 * It is closed once `run` is through; while `run` throws, which is shown, or gives false, it stays
 * as it is. An input that is not valid is told of in the words of its `data-wrong`.
 */
export function fillIn(title, body, action, run) {
  return new Promise((resolve) => {
    new Form(title, body, action, run, resolve);
  });
}
