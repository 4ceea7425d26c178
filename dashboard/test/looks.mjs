// What can be judged without eyes, and pictures for those who have them.

import http from "node:http";
import { fileURLToPath } from "node:url";
import { ask, put, same, sleep, until } from "./kit.mjs";

const IMAGES = fileURLToPath(new URL("../../docs/images/", import.meta.url));

async function prepare(url) {
  const config = JSON.stringify({ database: { host: "db.internal", port: 5432 }, features: ["search", "export"], retries: 3 });
  await put(url, "/shop/config", { value: config });
  for (const name of ["cart", "orders", "users"]) {
    for (const number of [1, 2, 3]) await put(url, `/shop/services/${name}/${number}`, { value: `10.0.0.${number}:8080`, ttl: "900" });
  }
  for (const holder of ["alice", "bob"]) {
    await ask(url, "POST", `/mod/v2/lock/${holder === "alice" ? "release" : "backup"}?ttl=900`, { value: holder });
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

const VIEWS = ["cluster", "keys/shop/config", "locks"];

export async function lookChecks(check, cluster, withPictures) {
  const { url } = await cluster.leader();
  await prepare(url);
  const waiting = ["bob", "carol"].map((value) => wait(url, "release", value));

  for (const dark of [false, true]) {
    for (const phone of [false, true]) {
      const look = `${dark ? "dark" : "light"}, ${phone ? "phone" : "desk"}`;
      await check(`looks: nothing wrong by axe-core (${look})`, async (open) => {
        const page = await open(url, { dark, phone });
        for (const view of VIEWS) {
          await page.go(view);
          await page.it.waitForLoadState("domcontentloaded");
          if (view === "cluster") await page.get("spinbutton", /activeSize/).waitFor();
          await sleep(1200);
          same(await page.faults(), [], view);
          same(await page.isTooWide(), false, `${view} is wider than the window`);
        }
        await page.go("keys/shop/config");
        await page.press("Edit");
        same(await page.faults(), [], "a dialog");
        await page.it.keyboard.press("Escape");
      });
    }
  }

  await check("looks: every control is reached by the keyboard", async (open) => {
    const page = await open(url);
    await page.go("keys/shop/config");
    await page.get("button", "Edit").waitFor();
    const names = new Set();
    for (let step = 0; step < 30; step += 1) {
      await page.it.keyboard.press("Tab");
      names.add(await page.it.evaluate(() => document.activeElement.textContent || document.activeElement.id || document.activeElement.type));
    }
    for (const name of ["Skip to content", "Keys", "Refresh", "Edit", "Delete", "Search", "Follow", "checkbox"]) {
      if (![...names].some((one) => one === name)) throw new Error(`${name} was not reached: ${[...names].join(", ")}`);
    }
  });

  await check("looks: the theme can be chosen and is kept", async (open) => {
    const page = await open(url);
    await page.go("locks");
    await page.press("Theme: system");
    await page.press("Theme: light");
    await page.it.reload();
    await page.get("button", "Theme: dark").waitFor();
    const back = await page.it.evaluate(() => getComputedStyle(document.body).backgroundColor);
    same(back, "rgb(14, 21, 24)", "the background");
  });

  await check("looks: what is drawn anew leaves the reader where they are", async (open) => {
    const page = await open(url, { phone: true });
    await page.go("cluster");
    const machines = page.get("region", "Machines of the cluster");
    const first = machines.locator("tbody tr").first();
    await first.waitFor();
    await machines.evaluate((box) => { box.scrollLeft = 200; });
    const drawnAnew = async () => {
      const row = await first.elementHandle();
      await until("the rows are drawn anew", async () => {
        await put(url, "/shop/visits", { value: "drawn" });
        return !await row.evaluate((element) => element.isConnected);
      });
    };
    await drawnAnew();
    same(await machines.evaluate((box) => box.scrollLeft), 200, "how far the table is scrolled");
    const remove = machines.getByRole("button").first();
    await remove.focus();
    const name = await remove.innerText();
    await drawnAnew();
    same(await page.it.evaluate(() => document.activeElement.textContent), name, "the focus");
    await page.go("locks");
    const lock = page.get("region", "Lock release");
    await lock.focus();
    const row = await lock.locator("tbody tr").first().elementHandle();
    await until("the queue is drawn anew", async () => !await row.evaluate((element) => element.isConnected));
    same(await page.it.evaluate(() => document.activeElement.getAttribute("aria-label")), "Lock release", "the focus");
  });

  await check("looks: an address that cannot be read", async (open) => {
    const page = await open(url);
    await page.go("keys/%zz");
    await page.get("heading", "/%zz").waitFor();
    page.problems = page.problems.filter((problem) => !problem.includes("status of 404"));
  });

  if (withPictures) await pictures(check, url);
  for (const one of waiting) one.destroy();
}

async function pictures(check, url) {
  await check("looks: pictures", async (open) => {
    for (const [dark, phone] of [[false, false], [true, false], [false, true]]) {
      const page = await open(url, { dark, phone });
      for (const view of VIEWS) {
        await page.go(view);
        if (view === "cluster") await traffic(url, 40);
        if (view.startsWith("keys")) {
          await page.it.getByRole("treeitem", { name: /services/ }).click();
          await page.it.getByRole("treeitem", { name: /config/ }).click();
          await page.press("Follow");
          await traffic(url, 1);
        }
        await sleep(1500);
        const name = `${view.split("/")[0]}-${dark ? "dark" : "light"}${phone ? "-phone" : ""}.png`;
        await page.it.screenshot({ path: IMAGES + name, fullPage: view === "cluster" || phone });
      }
    }
  });
}
