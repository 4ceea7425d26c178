// The frame around the views: what works anywhere.

import { ensure, picture, put, same, until } from "./kit.mjs";

async function choose(page, name) {
  await page.press("Settings");
  await page.it.getByRole("menuitem", { name }).click();
}

export async function frameChecks(check, { url }) {
  await check("frame: the palette goes to views, commands and keys", async (open) => {
    for (const name of ["one", "two"]) await put(url, `/palette/${name}`, { value: name });
    const page = await open(url);
    await page.go("cluster");
    const field = page.it.getByRole("combobox", { name: "A view, a command, or a key" });
    await page.it.keyboard.press("Control+k");
    await field.waitFor();
    same(await page.faults(), [], "the palette");
    await picture(page, "palette-light");
    await page.it.keyboard.type("loc");
    await page.it.keyboard.press("Enter");
    await until("the view", () => page.it.url().endsWith("#/locks"));
    await page.it.keyboard.press("Control+k");
    await page.it.keyboard.type("/palette/t");
    await page.it.getByRole("option", { name: /^\/palette\/two/ }).waitFor();
    await page.it.keyboard.press("ArrowDown");
    await page.it.keyboard.press("Enter");
    await page.get("heading", "/palette/two").waitFor();
    await page.it.keyboard.press("Control+k");
    await page.it.keyboard.press("Escape");
    await field.waitFor({ state: "detached" });
  });

  await check("frame: keys that work anywhere, but not while something is typed", async (open) => {
    const page = await open(url);
    await page.go("cluster");
    await page.it.keyboard.press("?");
    await page.get("heading", "Keyboard shortcuts").waitFor();
    same(await page.faults(), [], "the shortcuts");
    await page.it.keyboard.press("Escape");
    await page.it.keyboard.press("g");
    await page.it.keyboard.press("k");
    await until("the view of keys", () => page.it.url().endsWith("#/keys"));
    await page.it.keyboard.press("/");
    const focused = () => page.it.evaluate(() => document.activeElement.tagName);
    await until("a field has the focus", async () => (await focused()) === "INPUT");
    await page.it.keyboard.type("g?");
    same(await page.get("heading", "Keyboard shortcuts").count(), 0, "shortcuts while typing");
  });

  await check("frame: the theme can be chosen and is kept", async (open) => {
    const page = await open(url);
    await page.go("locks");
    const back = () =>
      page.it.evaluate(() => getComputedStyle(document.documentElement).colorScheme);
    same(await back(), "light", "the theme of the system");
    await choose(page, /^Theme: dark/);
    await until("it is dark", async () => (await back()) === "dark");
    await page.it.reload();
    await page.it.locator("#view > *").waitFor();
    same(await back(), "dark", "the theme after a reload");
    await choose(page, /^Theme: system/);
    await until("it is as the system", async () => (await back()) === "light");
  });

  await check("frame: times can be in UTC, and have it beside them", async (open) => {
    const page = await open(url, { timezoneId: "Asia/Kolkata" });
    await put(url, "/clock", { value: "1" });
    await page.go("keys/clock");
    const time = page.it.locator("dl.facts time").first();
    await time.waitFor();
    const at = await time.getAttribute("datetime");
    const minutes = (ms) => new Date(ms).toISOString().slice(11, 16);
    const kolkata = minutes(Date.parse(at) + 5.5 * 3_600_000);
    ensure(
      (await time.innerText()).includes(kolkata),
      `${await time.innerText()} is not ${kolkata}`,
    );
    ensure((await time.getAttribute("title")).endsWith(" UTC"), "UTC in the tooltip");
    await choose(page, "Times in UTC");
    await until("in UTC", async () => (await time.innerText()).includes(minutes(Date.parse(at))));
  });

  await check(
    "frame: the title names the place, unknown addresses lead to the cluster",
    async (open) => {
      const page = await open(url);
      await put(url, "/title/a", { value: "1" });
      await page.go("keys/title/a");
      await until("the title", async () =>
        (await page.it.title()).startsWith("/title/a - Keys - Stead"),
      );
      await page.go("nothing/here");
      await until("the cluster", async () => (await page.it.title()).includes("Cluster - Stead"));
      await page.go("keys/%zz");
      await page.get("heading", "/%zz").waitFor();
      page.problems = page.problems.filter((problem) => !problem.includes("status of 404"));
    },
  );

  await check("frame: the first Tab leads past the header", async (open) => {
    const page = await open(url);
    await page.go("keys");
    await page.it.keyboard.press("Tab");
    same(
      await page.it.evaluate(() => document.activeElement.textContent),
      "Skip to content",
      "the focus",
    );
    await page.it.keyboard.press("Enter");
    same(await page.it.evaluate(() => document.activeElement.id), "view", "the focus");
    ensure(page.it.url().endsWith("#/keys"), "the address stays");
  });

  await check("frame: it is there at once, and small", async (open) => {
    const page = await open(url);
    const session = await page.context.newCDPSession(page.it);
    await session.send("Network.enable");
    let bytes = 0;
    const ours = new Set();
    session.on("Network.responseReceived", ({ requestId, response }) => {
      if (response.url.includes("/mod/dashboard/")) ours.add(requestId);
    });
    session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
      if (ours.has(requestId)) bytes += encodedDataLength;
    });
    await page.go("keys/title/a");
    await page.it.locator(".cm-content").waitFor();
    const paint = await page.it.evaluate(
      () => performance.getEntriesByName("first-contentful-paint")[0].startTime,
    );
    // The requirement is 300 ms on a machine that does nothing else; this only sees a mistake.
    ensure(paint < 3000, `first paint after ${paint} ms`);
    console.log(`      first contentful paint after ${Math.round(paint)} ms, ${bytes} bytes`);
    if (!process.env.DASHBOARD) ensure(bytes > 1000 && bytes < 250_000, `${bytes} bytes`);
  });
}
