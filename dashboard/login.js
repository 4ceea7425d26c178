// Logging in: whether users count here, who uses the page, and what a refusal means.

import { call, onRefusal } from "./api.js";
import { authorization, basic, forget, remember, userName } from "./credentials.js";
import { h, say } from "./dom.js";

/**
 * A request that is never carried out. The server looks at who asks before it reads what is asked,
 * and at rights only after that: wrong credentials are refused as such (401), and right ones get as
 * far as the index that is not a number, whatever their user may do.
 */
const PROBE = "/v2/keys/?wait=true&waitIndex=none";
const PROBE_CODE = 203;

/** What the server says of credentials: true if they are right. */
async function areRight(proof, signal) {
  try {
    await call(PROBE, { as: proof, signal });
  } catch (error) {
    if (error.isRefused) return false;
    if (error.status === 400 && error.code === PROBE_CODE) return true;
    throw error;
  }
  throw new Error("The server's answer makes no sense.");
}

/** A sentence with its full stop, whether it has come with one or not. */
function ended(text) {
  return text.endsWith(".") ? text : `${text}.`;
}

/** What a user has no right to, in words. */
function unallowed(method, path) {
  const url = new URL(path, location.origin);
  const [, name] = url.pathname.match(/^\/v2\/keys(\/.*)$/) ?? [];
  if (name === undefined) return "no right to do this: it takes the role root";
  const key = decodeURIComponent(name);
  const below = url.searchParams.get("recursive") === "true" ? " and everything below it" : "";
  return `no right to ${method === "GET" ? "read" : "change"} ${key}${below}`;
}

export class Login {
  #place;
  #onChange;
  #counts = false;
  /** Whether a guest has seen the form, and is not to be asked again without asking for it. */
  #wasAsked = false;
  /** The form, until it is closed. */
  #open = null;

  /** `place` shows who is logged in; `onChange` is called when that has changed. */
  constructor(place, onChange) {
    this.#place = place;
    this.#onChange = onChange;
    onRefusal((error, request) => this.#refused(error, request));
  }

  /** Asks whether users count, and shows who is logged in if they do. */
  async look() {
    const { enabled } = await call("/v2/auth/enable", { as: null });
    if (!enabled) {
      forget();
      this.#wasAsked = false;
    }
    this.#counts = enabled;
    this.#draw();
  }

  /** The same, if users counted when they were last looked at. */
  async lookAgain() {
    if (this.#counts) await this.look();
  }

  #draw() {
    const user = userName();
    this.#place.hidden = !this.#counts;
    const shown = JSON.stringify([this.#counts, user]);
    if (this.#place.dataset.shown === shown) return;
    this.#place.dataset.shown = shown;
    const button = user === null
      ? h("button", { type: "button", class: "quiet", onclick: () => this.#ask() }, "Log in")
      : h("button", { type: "button", class: "quiet", onclick: () => this.#logOut() }, "Log out");
    const words = user === null ? ["Not logged in"] : ["Logged in as ", h("b", {}, user)];
    this.#place.replaceChildren(h("span", {}, ...words), button);
  }

  #logOut() {
    forget();
    // Whoever has just logged out does not want to be asked who they are.
    this.#wasAsked = true;
    this.#changed();
    say("Logged out.");
    this.#place.querySelector("button").focus();
  }

  #changed() {
    this.#draw();
    this.#onChange();
  }

  /**
   * A request was answered with 401: says why, and asks for a login where one is missing. Gives the
   * error once the form is closed. Nothing is sent again: whoever logs in may be somebody else.
   */
  async #refused(error, { method, path, sent, user }) {
    if (path.startsWith("/v2/keys")) {
      this.#counts = true;
      this.#draw();
    } else {
      await this.look().catch(() => {});
      // Without users it is the cluster's secret that is missing.
      if (!this.#counts) return error;
    }
    const what = unallowed(method, path);
    if (!sent) {
      error.message = `Not logged in: ${what}.`;
      if (authorization() === null && !this.#wasAsked) this.#ask(error.message);
    } else {
      error.message = await this.#why(sent, user, what);
    }
    await this.#open;
    return error;
  }

  /** Why a request of a user was refused. One whose password is wrong by now is asked for it. */
  async #why(sent, user, what) {
    const gone = `The server no longer accepts the name and password of ${user}.`;
    if (sent !== authorization()) return `${user} is no longer logged in.`;
    try {
      if (await areRight(sent)) return `${user} has ${what}.`;
    } catch (error) {
      return `${user} has ${what}, or another password by now. ${ended(error.message)}`;
    }
    if (sent === authorization()) {
      forget();
      this.#draw();
      this.#ask(gone, user);
    }
    return gone;
  }

  /** Opens the form, unless it is open. */
  #ask(reason, user) {
    this.#wasAsked = true;
    this.#open ??= new Form(reason, user).closed.then((name) => {
      this.#open = null;
      const hasChanged = name !== null || user !== undefined;
      if (name !== null) say(`Logged in as ${name}.`);
      if (hasChanged) this.#changed();
      // The button that opened it may be gone.
      if (document.activeElement === document.body) document.getElementById("view").focus();
      // Users may have been switched off in the meantime.
      if (name !== null) this.look().catch(() => {});
    });
  }
}

/** The form; `closed` gives the name of who has logged in, null if nobody has. */
class Form {
  #name;
  #password = h("input", { type: "password", name: "password", id: "login-password",
    autocomplete: "current-password", required: true, "aria-describedby": "login-wrong" });
  #wrong = h("p", { class: "wrong", id: "login-wrong", role: "alert" });
  #submit = h("button", { type: "submit" }, "Log in");
  #box;
  #running = new AbortController();
  #loggedIn = null;

  constructor(reason, user) {
    this.#name = h("input", { type: "text", name: "username", id: "login-name", value: user ?? "",
      autocomplete: "username", autocapitalize: "none", spellcheck: "false", required: true });
    const send = (event) => {
      event.preventDefault();
      this.#send();
    };
    const field = (input, text) => h("div", { class: "field" },
      h("label", { for: input.id }, text), input);
    this.#box = h("dialog", { class: "login", "aria-labelledby": "login-title",
      "aria-describedby": reason ? "login-reason" : null },
    h("form", { onsubmit: send }, h("h2", { id: "login-title" }, "Log in"),
      reason && h("p", { id: "login-reason" }, reason),
      field(this.#name, "Name"), field(this.#password, "Password"), this.#wrong,
      h("div", { class: "buttons" },
        h("button", { type: "button", class: "quiet", onclick: () => this.#box.close() },
          "Continue without logging in"), this.#submit)));
    this.closed = new Promise((resolve) => {
      this.#box.addEventListener("close", () => {
        this.#running.abort();
        this.#password.value = "";
        this.#box.remove();
        resolve(this.#loggedIn);
      });
    });
    document.body.append(this.#box);
    this.#box.showModal();
    (user === undefined ? this.#name : this.#password).focus();
  }

  async #send() {
    if (this.#submit.disabled) return;
    this.#submit.disabled = true;
    this.#submit.textContent = "Checking...";
    this.#wrong.textContent = "";
    this.#password.removeAttribute("aria-invalid");
    const name = this.#name.value;
    const { signal } = this.#running;
    const wrong = await this.#check(name, this.#password.value, signal);
    if (signal.aborted) return;
    if (wrong === null) {
      this.#loggedIn = name;
      this.#box.close();
      return;
    }
    this.#submit.disabled = false;
    this.#submit.textContent = "Log in";
    this.#wrong.textContent = wrong;
    this.#password.focus();
  }

  /** Logs in. Gives what is wrong, null if nothing is. */
  async #check(name, password, signal) {
    // The first colon ends the name in what is sent.
    if (name.includes(":")) return "A name with a colon cannot log in.";
    const proof = basic(name, password);
    try {
      if (await areRight(proof, signal)) {
        if (!signal.aborted) remember(name, proof);
        return null;
      }
    } catch (error) {
      // Too many passwords at once, or no answer: it may be the right one.
      return `The password was not checked. ${ended(error.message)}`;
    }
    this.#password.value = "";
    this.#password.setAttribute("aria-invalid", "true");
    return "Wrong name or password.";
  }
}
