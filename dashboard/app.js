// The frame around the views: which one is shown, the theme, and whether the server answers.

import { call, NoAnswer } from "./api.js";
import { h, visible } from "./dom.js";
import { clusterView } from "./cluster.js";
import { openForm } from "./form.js";
import { Health } from "./health.js";
import { keysView } from "./keys.js";
import { locksView } from "./locks.js";
import { Login } from "./login.js";

const VIEWS = { cluster: clusterView, keys: keysView, locks: locksView };
const THEMES = ["system", "light", "dark"];

/** What a view is given: `every` runs a task now and again until the view ends. */
class Context {
  #ends = new AbortController();

  /** `renew` shows the view anew, for one that ended while it changed something. */
  constructor(settings, renew) {
    this.settings = settings;
    this.health = health;
    this.renew = renew;
    this.signal = this.#ends.signal;
  }

  every(seconds, task) {
    const round = async () => {
      const banner = document.getElementById("banner");
      try {
        if (!document.hidden) await task(this.signal);
        banner.hidden = true;
      } catch (error) {
        if (this.signal.aborted) return;
        if (error instanceof NoAnswer) {
          banner.hidden = true;
          if (!health.isSilent) health.look();
        } else banner.hidden = false;
        banner.textContent = error.isRefused ? error.message : `${error.message} Retrying.`;
        // It would be refused again, until somebody else logs in.
        if (error.isRefused) return;
      }
      if (!this.signal.aborted) setTimeout(round, seconds * 1000);
    };
    round();
  }

  end() {
    this.#ends.abort();
    document.getElementById("banner").hidden = true;
  }
}

let settings = { readOnly: true };
let context = null;
let shownView = null;
let login = null;
/** It is told of whatever is shown, and by the view that is shown. */
const health = new Health(document.getElementById("health"), () => shownView?.healthSeen?.(health));

/** The place that an address names; what cannot be read is taken as it stands. */
function placeOf(parts) {
  return `/${parts.map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  }).join("/")}`;
}

/** Shows the view that the address names; with `anew`, without anything that was shown before. */
function show(anew = false) {
  const [, name, ...rest] = location.hash.split("/");
  const view = VIEWS[name] ? name : "cluster";
  for (const link of document.querySelectorAll(".views a")) {
    if (link.getAttribute("href") === `#/${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const place = placeOf(rest);
  if (!anew && view === shownView?.name && shownView.goTo) return shownView.goTo(place);
  context?.end();
  context = new Context(settings, () => show(true));
  const main = document.getElementById("view");
  document.title = `${view[0].toUpperCase()}${view.slice(1)} - Stead ${settings.name ?? ""}`;
  const made = VIEWS[view](context, place);
  const { goTo, healthSeen, isOpenToAll } = made;
  shownView = { name: view, goTo, healthSeen, isOpenToAll };
  main.replaceChildren(made.element);
  made.start?.();
}

/** Shows what the address names, once a form that is open may be closed. */
async function addressChanged() {
  const form = openForm();
  if (form?.isChanged) {
    // Back where the form is; what was wanted is then one step behind.
    history.pushState(null, "", form.address);
    if (await form.leave()) history.back();
    return;
  }
  await form?.leave();
  login.lookAgain().catch(() => {});
  show();
}

/** Somebody else uses the page, who may see other things. */
function userChanged() {
  if (!shownView?.isOpenToAll) show(true);
}

function themeButton() {
  const button = document.getElementById("theme");
  let theme = localStorage.getItem("stead-theme") ?? "system";
  const apply = () => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
  };
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    localStorage.setItem("stead-theme", theme);
    apply();
  });
  apply();
}

async function start() {
  themeButton();
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById("view").focus();
  });
  try {
    settings = await call("/mod/dashboard/settings.json", { as: null });
  } catch (error) {
    document.getElementById("banner").textContent = error.message;
    document.getElementById("banner").hidden = false;
  }
  document.getElementById("where").replaceChildren(
    `${visible(settings.name ?? "unknown")}, version ${settings.version ?? "unknown"}`,
    settings.readOnly ? h("span", { class: "tag" }, "read-only") : "");
  login = new Login(document.getElementById("who"), userChanged);
  login.look().catch(() => {
    // The first refusal has it asked again.
  });
  addEventListener("hashchange", addressChanged);
  show();
  health.look();
}

start();
