// The view of locks.

import http from "node:http";
import { ask, ensure, same, until } from "./kit.mjs";

const FORM = { "Content-Type": "application/x-www-form-urlencoded" };

/** Somebody who waits for a lock; the connection keeps the place in the queue. */
function wait(url, name, value) {
  const waiting = http.request(`${url}/mod/v2/lock/${name}?ttl=600`, {
    method: "POST",
    headers: FORM,
  });
  const answer = new Promise((resolve) => {
    waiting.on("response", (given) => resolve(given.statusCode));
  });
  waiting.on("error", () => {});
  waiting.end(`value=${value}`);
  return { answer, end: () => waiting.destroy() };
}

async function take(url, name, value) {
  const held = await ask(url, "POST", `/mod/v2/lock/${name}?ttl=600`, { value });
  ensure(held.status === 200, `the lock ${name}: ${held.text}`);
  return held.text.trim();
}

const cardOf = (page, name) => page.get("region", `Lock ${name}`);

async function queueChecks(check, url) {
  await check("locks: nothing yet, and how to begin", async (open) => {
    const page = await open(url);
    await page.go("locks");
    await page.seen("No locks yet.");
    ensure(
      (await page.it.locator("pre").innerText()).includes(`curl ${url}/mod/v2/lock/`),
      "a line to try",
    );
    same(await page.faults(), [], "no locks");
  });

  await check("locks: who holds and who waits", async (open) => {
    const page = await open(url);
    await page.go("locks");
    const held = await take(url, "deploy", "alice");
    await page.seen("deploy: held by alice, 0 waiting");
    const waiting = wait(url, "deploy", "bob");
    await page.seen("deploy: held by alice, 1 waiting");
    const rows = cardOf(page, "deploy").locator("tbody tr");
    await until("both are shown", async () => (await rows.count()) === 2);
    const text = (await rows.nth(0).innerText()) + (await rows.nth(1).innerText());
    for (const word of ["holds", "alice", held, "waiting, position 1", "bob", "min"])
      ensure(text.includes(word), `${word} is missing in ${text}`);
    await ask(url, "DELETE", `/mod/v2/lock/deploy?index=${held}`);
    await page.seen("deploy: held by bob, 0 waiting");
    waiting.end();
  });

  await check("locks: whole names, with slashes and what cannot be seen", async (open) => {
    await take(url, "db/migrate", "runner-7");
    await take(url, "db", "outer");
    await take(url, encodeURIComponent("a\u202eb"), "spoof");
    const page = await open(url);
    await page.go("locks");
    await page.seen("db/migrate: held by runner-7, 0 waiting");
    await page.seen("db: held by outer, 0 waiting");
    await page.seen("a\\u{202e}b: held by spoof");
    const said = await page.it.locator("#view").innerText();
    ensure(!/undefined|NaN|no end/.test(said), `what is no lock is not shown: ${said}`);
    same(await cardOf(page, "db").locator("tbody tr").count(), 1, "places of db");
    ensure(!said.includes("\u202e"), "nothing turns the text around");
  });

  await check("locks: since when, from the server", async (open) => {
    await take(url, "old", "early");
    // A second that can be told from none.
    await until("time passes", async () => {
      const { json } = await ask(url, "GET", "/v2/keys/_etcd/mod/lock/old");
      const { createdIndex } = json.node.nodes[0];
      const { times } = (await ask(url, "GET", `/v2/stats/times?index=${createdIndex}`)).json;
      return times[createdIndex] && Date.now() - times[createdIndex] > 3000;
    });
    const page = await open(url);
    await page.go("locks");
    const since = cardOf(page, "old").locator("tbody td.since");
    await until("it is older than the page", async () => {
      const [, seconds] = /^(\d+) s/.exec(await since.innerText()) ?? [];
      return Number(seconds) >= 3;
    });
    await page.it.reload();
    await until(
      "a reload changes nothing",
      async () => Number(/^(\d+) s/.exec(await since.innerText())?.[1]) >= 3,
    );
    await take(url, "late", "new");
    await cardOf(page, "late").locator("td.since").getByText(/^\d s/).waitFor();
  });

  await check("locks: free ones are folded away, elections are locks too", async (open) => {
    const elected = await ask(url, "PUT", "/mod/v2/leader/primary", { name: "node-1", ttl: "600" });
    same(elected.status, 200, "the election");
    const held = await take(url, "gone", "x");
    await ask(url, "DELETE", `/mod/v2/lock/gone?index=${held}`);
    const page = await open(url);
    await page.go("locks");
    await page.seen("primary: held by node-1, 0 waiting");
    const free = page.it.locator("details", { hasText: "free lock" });
    ensure(!(await free.getByText("gone: free").isVisible()), "folded");
    await free.locator("summary").click();
    await free.getByText("gone: free").waitFor();
  });
}

async function releaseChecks(check, url) {
  await check("locks: a stuck one is released, by the keyboard", async (open) => {
    const held = await take(url, "stuck/one", "dead-runner");
    const waiting = wait(url, "stuck/one", "next-runner");
    const page = await open(url);
    await page.go("locks");
    await page.seen("stuck/one: held by dead-runner, 1 waiting");
    await page.get("button", `Actions for entry ${held} of stuck/one`).focus();
    await page.it.keyboard.press("Enter");
    await page.it.keyboard.press("r");
    await page.it.keyboard.press("Enter");
    const dialog = page.get("dialog", "Release stuck/one?");
    const said = await dialog.innerText();
    for (const words of [
      "dead-runner is not told",
      `checks the index ${held}`,
      "next-runner holds the lock next",
    ])
      ensure(said.includes(words), `${words} in ${said}`);
    same(await page.faults(), [], "the question");
    await page.it.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    same((await ask(url, "GET", "/mod/v2/lock/stuck/one")).text, "dead-runner", "nothing was done");
    await page.press(`Actions for entry ${held} of stuck/one`);
    await page.get("menuitem", "Release...").click();
    await dialog.getByRole("button", { name: "Release" }).click();
    await page.seen("stuck/one was released.");
    same(await waiting.answer, 200, "the next has it");
    await page.seen("stuck/one: held by next-runner, 0 waiting");
    waiting.end();
  });

  await check("locks: one who waits is taken out of the queue", async (open) => {
    await take(url, "queue", "holder");
    const waiting = wait(url, "queue", "impatient");
    const page = await open(url);
    await page.go("locks");
    const row = cardOf(page, "queue").locator("tr", { hasText: "impatient" });
    await row.getByRole("button").click();
    await page.get("menuitem", "Take out of the queue...").click();
    await page.press("Take out");
    same(await waiting.answer, 404, "who waited is told");
    await page.seen("queue: held by holder, 0 waiting");
  });

  await check("locks: on a phone nothing is cut, and axe-core finds nothing", async (open) => {
    for (const look of [{}, { dark: true }, { phone: true }, { phone: true, dark: true }]) {
      const page = await open(url, look);
      await page.go("locks");
      await page.seen("db/migrate");
      same(await page.faults(), [], JSON.stringify(look));
      same(await page.isTooWide(), false, "wider than the window");
      if (look.phone) {
        const expiry = page.it.getByText("Expires in").first();
        const { right } = await expiry.evaluate((one) => one.parentElement.getBoundingClientRect());
        ensure(right <= 390, "until when is in sight");
      }
    }
  });
}

export async function locksChecks(check, cluster) {
  const { url } = cluster.machines[1];
  await queueChecks(check, url);
  await releaseChecks(check, url);
}
