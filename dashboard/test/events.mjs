// The view of events.

import { alone, ask, Cluster, ensure, put, Relay, same, until } from "./kit.mjs";

/** The history holds so many events at least. */
const HISTORY = 1000;

const table = (page) => page.get("table", "Events, newest first");
const rows = (page) => table(page).locator(".event:not(.heads)");
const rowOf = (page, text) => rows(page).filter({ hasText: text }).first();

async function at(page, place = "") {
  await page.go(`events${place}`);
  await page.it.getByText("live", { exact: true }).waitFor();
}

/** What a browser says by itself of connections that break. */
function allowBreaks(page) {
  // The way to the machine is shut before the page is.
  page.it.removeAllListeners("console");
  page.problems = page.problems.filter((problem) => !/net::ERR|status of (400|50\d)/.test(problem));
}

async function many(url, number, key = "/many", value = "x") {
  const lanes = Array.from({ length: 16 }, async (_, lane) => {
    for (let step = lane; step < number; step += 16)
      await put(url, `${key}/${step % 50}`, { value: `${value}${step}` });
  });
  await Promise.all(lanes);
}

async function listChecks(check, url) {
  await check("events: nothing yet, and how to see one", async (open) => {
    const page = await open(url);
    await at(page, "/quiet");
    await page.seen("Waiting for events");
    ensure(
      (await page.it.locator("pre").innerText()).startsWith(`curl ${url}/v2/keys/quiet/`),
      "a line to try",
    );
    same(await page.faults(), [], "no events");
  });

  await check("events: what happened, when, to which key", async (open) => {
    const page = await open(url);
    await at(page);
    await put(url, "/e/config", { value: '{"port": 8080}' });
    await put(url, "/e/config", { value: '{"port": 9090}', ttl: "300" });
    const { json } = await ask(url, "DELETE", "/v2/keys/e/config");
    await rowOf(page, "delete").waitFor();
    const cells = await rows(page).nth(1).getByRole("cell").allInnerTexts();
    ensure(/^\d\d:\d\d:\d\d/.test(cells[1]), `a time: ${cells}`);
    same([cells[2], cells[3], cells[4]], ["set", "/e/config", '{"port": 9090}'], "an event");
    same([cells[5], cells[6]], ["5 min", String(json.node.modifiedIndex - 1)], "its TTL and index");
    ensure((await rows(page).nth(0).innerText()).includes("delete"), "the newest first");
    const link = rows(page).nth(1).getByRole("link");
    same(await link.getAttribute("href"), "#/keys/e/config", "the way to the key");
    await page.press(`Details of event ${json.node.modifiedIndex - 1}`);
    const change = page.it.getByLabel("Difference of the value before and after");
    same(await change.locator("del").innerText(), "8080", "what was there");
    same(await change.locator("ins").innerText(), "9090", "what has come");
    await page.seen("Index before");
    same(await page.faults(), [], "an event that is open");
    await put(url, "/e/more", { value: "1" });
    await rowOf(page, "/e/more").waitFor();
    ensure(await change.isVisible(), "it stays open while events come");
  });

  await check("events: by the keyboard alone", async (open) => {
    const page = await open(url);
    await at(page, "/keyboard");
    await put(url, "/keyboard/a", { value: "one" });
    await rowOf(page, "/keyboard/a").waitFor();
    await page.it.keyboard.press("/");
    same(await page.it.evaluate(() => document.activeElement.type), "search", "the field");
    await page.it.keyboard.type("a");
    await page.it.getByRole("button", { name: /^Details/ }).focus();
    await page.it.keyboard.press("Enter");
    await page.seen("The value; there was none before:");
    await page.it.keyboard.press("p");
    await page.get("button", "Go on").waitFor();
  });

  await check("events: filtered by key, action and text, with an address", async (open) => {
    const page = await open(url);
    await at(page, "/f");
    await put(url, "/f/a/nginx.conf", { value: "listen 80" });
    await put(url, "/f/b/app.conf", { value: "listen 81" });
    await put(url, "/f/b/readme", { value: "nothing" });
    await ask(url, "DELETE", "/v2/keys/f/b/readme");
    const shown = async (number) =>
      until(`${number} are shown`, async () => (await rows(page).count()) === number);
    await shown(4);
    await page.it.getByLabel("Key", { exact: true }).fill("*.conf");
    await shown(2);
    await page.seen("2 of 4 events");
    await page.it.getByLabel("Text in the value").fill("LISTEN 81");
    await shown(1);
    ensure(/#\/events\/f\?key=.*&text=LISTEN/.test(page.it.url()), `the address: ${page.it.url()}`);
    await page.it.getByLabel("Text in the value").fill("");
    await page.it.getByLabel("Key", { exact: true }).fill("");
    await page.it.getByLabel("Action").selectOption("delete");
    await shown(1);
    await page.it.getByLabel("Action").selectOption("create");
    await page.seen("No event matches");
    await page.it.reload();
    await page.it.getByText("live", { exact: true }).waitFor();
    same(await page.it.getByLabel("Action").inputValue(), "create", "after a reload");
    await page.it.getByLabel("Below").fill("/f/b");
    await page.press("Follow");
    await until("another directory", () => page.it.url().includes("#/events/f/b?action=create"));
    await page.it.goBack();
    await until("Back", async () => (await page.it.getByLabel("Below").inputValue()) === "/f");
  });

  await check("events: paused, and gone on with", async (open) => {
    const page = await open(url);
    await at(page, "/p");
    await put(url, "/p/before", { value: "1" });
    await rowOf(page, "/p/before").waitFor();
    await page.press("Pause");
    for (let number = 0; number < 5; number += 1)
      await put(url, "/p/late", { value: String(number) });
    await page.seen("5 waiting");
    same(await rows(page).count(), 1, "rows while it is paused");
    await page.press("Go on");
    await until("all are shown", async () => (await rows(page).count()) === 6);
    await page.press("Clear");
    await page.seen("Waiting for events");
  });

  await check("events: hidden nodes by the switch", async (open) => {
    const page = await open(url);
    await at(page, "/h");
    await put(url, "/h/_secret/a", { value: "hidden" });
    await put(url, "/h/seen", { value: "1" });
    await rowOf(page, "/h/seen").waitFor();
    same(await rows(page).count(), 1, "rows without the switch");
    await page.it.getByLabel("Hidden nodes").check();
    await rowOf(page, "/h/_secret/a").waitFor();
    await page.it.getByLabel("Hidden nodes").uncheck();
  });

  await check("events: hostile names and values do no harm", async (open) => {
    const page = await open(url);
    await at(page, "/x");
    await put(url, `/x/${encodeURIComponent("\u202eevil")}`, {
      value: "<img src=x onerror=alert(1)>",
    });
    await put(url, `/x/${"n".repeat(200)}`, { value: "a\r\nb\u0000\u202e" });
    await put(url, "/x/long", { value: "y".repeat(100_000) });
    await rowOf(page, "\\u{202e}evil").waitFor();
    await rowOf(page, "/x/long").waitFor();
    ensure(
      !(await page.it.locator("body").innerText()).includes("\u202e"),
      "nothing turns the text around",
    );
    for (const button of [0, 1, 2]) {
      await page.it
        .getByRole("button", { name: /^Details/ })
        .nth(button)
        .click();
      same(await page.isTooWide(), false, "wider than the window");
      await page.it
        .getByRole("button", { name: /^Details/ })
        .nth(button)
        .click();
    }
  });

  await check("events: what happens while one looks elsewhere", async (open) => {
    const page = await open(url);
    await at(page, "/w?action=set");
    await put(url, "/w/one", { value: "1" });
    await rowOf(page, "/w/one").waitFor();
    await page.get("link", "Locks").click();
    await page.get("heading", /^Locks/).waitFor();
    await put(url, "/w/two", { value: "2" });
    await page.get("link", "Events").click();
    await rowOf(page, "/w/two").waitFor();
    same(await rows(page).count(), 2, "rows, those of before too");
    ensure(
      page.it.url().endsWith("#/events/w?action=set"),
      `the place of before: ${page.it.url()}`,
    );
    await page.get("link", "Events").click();
    await until("the view's own place", () => page.it.url().endsWith("#/events"));
  });
}

async function lossChecks(check, url) {
  await check("events: a stream that breaks goes on without a false alarm", async (open) => {
    const relay = await Relay.to(url);
    try {
      const page = await open(relay.url);
      await put(url, "/q/a", { value: "1" });
      await at(page, "/q");
      await put(url, "/q/a", { value: "before" });
      await rowOf(page, "before").waitFor();
      relay.close();
      await page.it.getByText("reconnecting", { exact: true }).waitFor();
      await put(url, "/q/a", { value: "meanwhile" });
      await relay.open();
      await rowOf(page, "meanwhile").waitFor();
      same(await page.it.getByText(/lost/).count(), 0, "false alarms");
      same(await rows(page).count(), 2, "rows");
      allowBreaks(page);
    } finally {
      relay.close();
    }
  });

  await check("events: events elsewhere are no loss", async (open) => {
    const relay = await Relay.to(url);
    try {
      const page = await open(relay.url);
      await put(url, "/quiet/a", { value: "1" });
      await at(page, "/quiet");
      // The history begins anew where the index jumps.
      const { index } = (await ask(url, "GET", "/v2/keys/quiet")).headers;
      const jump = await ask(
        url,
        "PUT",
        "/v2/admin/index",
        JSON.stringify({ atLeast: 50_000 + (index ?? 0) }),
      );
      same(jump.status, 200, "the index is set");
      // Nothing on the page tells when it has heard of that; the server says so every five seconds.
      await page.it.waitForTimeout(6500);
      relay.cut();
      await page.it.getByText("reconnecting", { exact: true }).waitFor();
      await page.it.getByText("live", { exact: true }).waitFor();
      await put(url, "/quiet/a", { value: "2" });
      await rowOf(page, "/quiet/a").waitFor();
      same(await page.it.getByText(/lost/).count(), 0, "nothing is missing");
      allowBreaks(page);
    } finally {
      relay.close();
    }
  });

  await check("events: what was lost is said exactly", async (open) => {
    const relay = await Relay.to(url);
    try {
      const page = await open(relay.url);
      await at(page, "/l");
      const last = (await put(url, "/l/a", { value: "last that came" })).node.modifiedIndex;
      await rowOf(page, "last that came").waitFor();
      relay.close();
      await page.it.getByText("reconnecting", { exact: true }).waitFor();
      // More than the history keeps: its size in bytes counts where it is above so many events.
      await many(url, HISTORY + 600, "/l/many", "v".repeat(20_000));
      const old = await ask(
        url,
        "GET",
        `/v2/keys/l?wait=true&recursive=true&waitIndex=${last + 1}`,
      );
      const [, first] = /\[(\d+)\//.exec(old.json.cause) ?? [];
      ensure(first, `the history has gone on: ${old.text.slice(0, 200)}`);
      await relay.open();
      const said = (number) => Number(number).toLocaleString("en");
      await page.seen(
        `Events ${said(last + 1)} to ${said(first - 1)} are lost: the history had gone on.`,
      );
      await until("the rest is there", async () => {
        const text = await page.it.locator("header", { hasText: "events" }).last().innerText();
        return Number(/([\d,]+) events/.exec(text)?.[1].replaceAll(",", "")) >= HISTORY;
      });
      allowBreaks(page);
    } finally {
      relay.close();
    }
  });
}

async function restartChecks(check) {
  await check("events: a restart of the machine is no loss", async (open) => {
    const cluster = new Cluster();
    try {
      const machine = await cluster.start();
      await put(machine.url, "/r/a", { value: "1" });
      const page = await open(machine.url);
      await at(page, "/r");
      await put(machine.url, "/r/a", { value: "before" });
      await rowOf(page, "before").waitFor();
      await cluster.restart(machine);
      await until(
        "it takes changes",
        async () =>
          (await ask(machine.url, "PUT", "/v2/keys/r/a", { value: "after" })).status < 300,
      );
      await rowOf(page, "after").waitFor();
      same(await page.it.getByText(/lost/).count(), 0, "false alarms");
      allowBreaks(page);
    } finally {
      await cluster.stop();
    }
  });
}

/** Bytes of the page's heap after what is garbage has gone. */
async function heapOf(page) {
  const session = await page.context.newCDPSession(page.it);
  await session.send("HeapProfiler.enable");
  await session.send("HeapProfiler.collectGarbage");
  const { usedSize } = await session.send("Runtime.getHeapUsage");
  await session.detach();
  return usedSize;
}

async function floodChecks(check, url) {
  await check("events: a flood is bounded in rows and memory", async (open) => {
    const page = await open(url);
    await at(page, "/flood");
    const came = async () =>
      Number(
        (
          /of ([\d,]+) that came/.exec(await page.it.locator("#view").innerText())?.[1] ?? "0"
        ).replaceAll(",", ""),
      );
    const value = "z".repeat(500);
    await many(url, 6000, "/flood", value);
    await until("all have come", async () => (await came()) >= 6000, 60_000);
    const before = await heapOf(page);
    await many(url, 8000, "/flood", value);
    await until("all have come", async () => (await came()) >= 14_000, 60_000);
    const after = await heapOf(page);
    ensure(after - before < 3_000_000, `the heap: ${before} and then ${after}`);
    await page.seen("5,000 events");
    ensure((await rows(page).count()) < 80, "rows in the page");
    await table(page)
      .locator(".box")
      .evaluate((box) => {
        box.scrollTop = box.scrollHeight;
      });
    await until(
      "the oldest is drawn",
      async () => (await table(page).locator('[aria-rowindex="5001"]').count()) === 1,
    );
    const index = await rows(page).nth(4).getByRole("cell").last().innerText();
    await put(url, "/flood/late", { value: "1" });
    await page.seen("14,001 that came");
    ensure(
      (await rows(page).allInnerTexts()).some((text) => text.includes(index)),
      "who has scrolled away stays there",
    );
  });

  await check("events: nothing wrong by axe-core, in all looks", async (open) => {
    for (const look of [{}, { dark: true }, { phone: true }, { phone: true, dark: true }]) {
      const page = await open(url, look);
      await at(page, "/look");
      await put(url, "/look/a/key/with/a/longer/path", { value: '{"a": 1}', ttl: "100" });
      await put(url, "/look/a/key/with/a/longer/path", { value: '{"a": 2}', ttl: "100" });
      await until("both are there", async () => (await rows(page).count()) === 2);
      await page.it
        .getByRole("button", { name: /^Details/ })
        .first()
        .click();
      same(await page.faults(), [], JSON.stringify(look));
      same(await page.isTooWide(), false, "wider than the window");
    }
  });
}

export async function eventsChecks(check) {
  await alone([], async ({ url }) => {
    await listChecks(check, url);
    await floodChecks(check, url);
    await lossChecks(check, url);
  });
  await restartChecks(check);
}
