// What can be judged without eyes, and pictures for those who have them.

import http from "node:http";
import { ask, picture, put, rewrite, same, sleep, until } from "./kit.mjs";

async function prepare(url) {
  const config = JSON.stringify({
    database: { host: "db.internal", port: 5432 },
    features: ["search", "export"],
    retries: 3,
  });
  await put(url, "/shop/config", { value: config });
  for (const name of ["cart", "orders", "users"]) {
    for (const number of [1, 2, 3])
      await put(url, `/shop/services/${name}/${number}`, {
        value: `10.0.0.${number}:8080`,
        ttl: "900",
      });
  }
  for (const holder of ["alice", "bob"]) {
    await ask(url, "POST", `/mod/v2/lock/${holder === "alice" ? "release" : "backup"}?ttl=900`, {
      value: holder,
    });
  }
}

/** Somebody who waits for a lock; the connection keeps the place. */
function wait(url, name, value) {
  const headers = { "Content-Type": "application/x-www-form-urlencoded" };
  const waiting = http.request(`${url}/mod/v2/lock/${name}?ttl=900`, { method: "POST", headers });
  waiting.on("error", () => {});
  waiting.end(`value=${value}`);
  return waiting;
}

/** Something to see in the charts. */
async function traffic(url, seconds) {
  const end = Date.now() + seconds * 1000;
  for (let number = 0; Date.now() < end; number += 1) {
    await put(url, "/shop/visits", { value: String(number) });
    for (let read = 0; read < 3; read += 1) await ask(url, "GET", "/v2/keys/shop/config");
    await sleep(5 + 15 * Math.abs(Math.sin(number / 60)));
  }
}

/** Addresses of all views and of their states that stay by themselves. */
const VIEWS = [
  "cluster",
  "keys",
  "keys/shop",
  "keys/shop/config",
  "keys/shop/nothing",
  "keys/shop?search=10.0",
  "events",
  "events/shop?key=*visits*",
  "locks",
  "people",
];

/** Dialogs, and how they are opened. */
const DIALOGS = [
  ["keys/shop", (page) => page.press("New key")],
  ["keys/shop/config", (page) => page.press("Edit")],
  [
    "keys/shop/config",
    async (page) => {
      await page.press("Edit");
      await rewrite(page.it.getByRole("textbox", { name: "Value", exact: true }), "{}");
      await page.press("Review and save");
      await page.get("heading", "Save /shop/config?").waitFor();
    },
  ],
  ["cluster", (page) => page.press("Add a machine")],
  ["cluster", (page) => page.it.keyboard.press("Control+k")],
  ["cluster", (page) => page.press("Settings")],
];

const LOOKS = [false, true].flatMap((dark) => [false, true].map((phone) => ({ dark, phone })));

function nameOf({ dark, phone }) {
  return `${dark ? "dark" : "light"}${phone ? "-phone" : ""}`;
}

async function rest(page) {
  await until(
    "nothing loads",
    async () => (await page.it.locator("[aria-busy=true]").count()) === 0,
  );
  await sleep(500);
}

/** What can be pressed on a phone and is too low; 44 are wanted, a line of a table among them. */
async function smallTargets(page) {
  return page.it.evaluate(() => {
    const all = [
      ...document.querySelectorAll("button, a.button, select, input, nav a, [role=treeitem]"),
    ];
    return all
      .filter((one) => one.offsetParent && !one.closest(".visually-hidden"))
      .map((one) => ({ one, box: (one.closest("label") ?? one).getBoundingClientRect() }))
      .filter(
        ({ one, box }) =>
          !one.classList.contains("visually-hidden") && box.height > 0 && box.height < 43,
      )
      .map(
        ({ one, box }) => `${one.tagName} ${one.textContent || one.name || one.type} ${box.height}`,
      );
  });
}

export async function lookChecks(check, cluster, withPictures) {
  const { url } = await cluster.leader();
  await prepare(url);
  const waiting = ["bob", "carol"].map((value) => wait(url, "release", value));

  for (const look of LOOKS) {
    await check(`looks: nothing wrong by axe-core (${nameOf(look)})`, async (open) => {
      const page = await open(url, look);
      for (const view of VIEWS) {
        await page.go(view);
        await rest(page);
        same(await page.faults(), [], view);
        same(await page.isTooWide(), false, `${view} is wider than the window`);
        if (look.phone) same(await smallTargets(page), [], `targets of ${view}`);
      }
      page.problems = page.problems.filter((problem) => !problem.includes("status of 404"));
    });

    await check(`looks: dialogs by axe-core (${nameOf(look)})`, async (open) => {
      for (const [view, show] of DIALOGS) {
        const page = await open(url, look);
        page.it.on("dialog", (dialog) => dialog.accept());
        await page.go(view);
        await rest(page);
        await show(page);
        await sleep(300);
        same(await page.faults(), [], `a dialog of ${view}`);
        same(await page.isTooWide(), false, `a dialog of ${view} is wider than the window`);
      }
    });
  }

  await check("looks: nothing moves when what is shown changes", async (open) => {
    const page = await open(url);
    for (const view of ["cluster", "keys/shop", "locks"]) {
      await page.go(view);
      await rest(page);
      const moved = await page.it.evaluate(
        () =>
          new Promise((resolve) => {
            let sum = 0;
            new PerformanceObserver((list) => {
              for (const entry of list.getEntries()) if (!entry.hadRecentInput) sum += entry.value;
            }).observe({ type: "layout-shift" });
            setTimeout(() => resolve(sum), 3000);
          }),
      );
      if (moved > 0.02) throw new Error(`${view} moves by ${moved}`);
    }
  });

  if (withPictures) await pictures(check, url);
  for (const one of waiting) one.destroy();
}

const PICTURES = {
  cluster: "cluster",
  keys: "keys/shop",
  value: "keys/shop/config",
  events: "events/shop",
  locks: "locks",
};

async function pictures(check, url) {
  await check("looks: pictures", async (open) => {
    const pages = [];
    for (const look of LOOKS) pages.push([look, await open(url, look)]);
    await traffic(url, 40);
    for (const [name, view] of Object.entries(PICTURES)) {
      for (const [look, page] of pages) await page.go(view);
      await traffic(url, 2);
      for (const [look, page] of pages) {
        await picture(page, `${name}-${nameOf(look)}`);
      }
    }
  });
}
