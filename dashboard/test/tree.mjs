// The view of keys: its places, its tree, what the keyboard does, live changes.

import { alone, ask, ensure, put, same, until } from "./kit.mjs";

function row(page, name) {
  return page.it.getByRole("treeitem", { name });
}

async function at(page, key) {
  await page.go(`keys${key}`);
  await page.get("heading", key || "/").waitFor();
}

function selected(page) {
  return page.it.locator('[role="treeitem"][aria-selected="true"]');
}

async function placeChecks(check, url) {
  await check("tree: every row is a link, and every place has an address", async (open) => {
    await put(url, "/t/links/dir/a b", { value: "1" });
    const page = await open(url);
    await at(page, "/t/links");
    same(
      await page.get("link", "directory dir").getAttribute("href"),
      "#/keys/t/links/dir",
      "in the table",
    );
    same(await row(page, "links").getAttribute("href"), "#/keys/t/links", "in the tree");
    await page.get("link", "directory dir").click();
    await page.get("heading", "/t/links/dir").waitFor();
    await page.get("link", "a b").click();
    await page.get("heading", "/t/links/dir/a b").waitFor();
    await until(
      "the title tells it",
      async () => (await page.it.title()) === "/t/links/dir/a b - Keys - Stead m1",
    );
    const crumbs = page.get("navigation", "Breadcrumb").getByRole("link");
    same(await crumbs.allInnerTexts(), ["/", "t", "links", "dir", "a b"], "the way there");
    same(await crumbs.last().getAttribute("aria-current"), "page", "the last is where one is");
    await crumbs.nth(2).click();
    await page.get("heading", "/t/links").waitFor();
    await page.it.goBack();
    await page.get("heading", "/t/links/dir/a b").waitFor();
  });

  await check("tree: what was open and in sight is so again after another view", async (open) => {
    for (let n = 0; n < 60; n += 1) await put(url, `/t/kept/k${n + 100}`, { value: "1" });
    const page = await open(url);
    await at(page, "/t/kept/k130");
    await page.it.locator("#tree").evaluate((tree) => {
      tree.scrollTop = 700;
    });
    await page.it.waitForTimeout(100);
    await page.get("link", "Locks").click();
    await page.it.locator('.views a[aria-current="page"]', { hasText: "Locks" }).waitFor();
    await page.get("link", "Keys").click();
    await page.get("heading", "/t/kept/k130").waitFor();
    await row(page, "k140").waitFor();
    same(
      await page.it.locator("#tree").evaluate((tree) => tree.scrollTop),
      700,
      "where it was scrolled to",
    );
    await at(page, "/t/kept");
    const box = page.it.locator(".rows-box");
    await page.get("link", "k100").waitFor();
    await box.evaluate((one) => {
      one.scrollTop = 500;
    });
    await page.it.waitForTimeout(100);
    await page.get("link", "k120").click();
    await page.get("heading", "/t/kept/k120").waitFor();
    await page.it.goBack();
    await page.get("link", "k120").waitFor();
    same(await box.evaluate((one) => one.scrollTop), 500, "the table as well");
  });

  await check(
    "tree: a filter that the server applies, and letters that are typed",
    async (open) => {
      for (const name of ["apple", "banana", "Blueberry", "cherry"])
        await put(url, `/t/fruit/${name}`, { value: "1" });
      const page = await open(url);
      await at(page, "/t/fruit");
      const filter = page.get("searchbox", "Filter names in /t/fruit");
      await filter.fill("B");
      await row(page, "Blueberry").waitFor();
      await until("only those that match", async () => (await row(page, "apple").count()) === 0);
      await filter.fill("*an*");
      await until("a pattern", async () => (await row(page, "Blueberry").count()) === 0);
      await row(page, "banana").waitFor();
      await filter.press("Escape");
      await row(page, "apple").waitFor();
      await page.it.locator("#tree").focus();
      await page.it.keyboard.type("ch");
      await page.get("heading", "/t/fruit/cherry").waitFor();
      await selected(page).filter({ hasText: "cherry" }).waitFor();
    },
  );

  await check("tree: a place far down is shown, and its rows are read", async (open) => {
    for (let n = 100; n < 400; n += 1) await put(url, `/t/far/d${n}/key`, { value: "1" });
    const page = await open(url);
    await at(page, "/t/far/d350/key");
    await selected(page).filter({ hasText: "key" }).waitFor();
    await row(page, "d351").waitFor();
  });

  await check(
    "tree: a step of the arrows is none for Back, and ends where it began",
    async (open) => {
      for (const name of ["a", "b", "c", "d"]) await put(url, `/t/steps/${name}`, { value: "1" });
      const page = await open(url);
      await at(page, "/t/steps/a");
      await page.it.locator("#tree").focus();
      for (const name of ["b", "c", "d"]) {
        await page.it.keyboard.press("ArrowDown");
        await page.get("heading", `/t/steps/${name}`).waitFor();
      }
      await page.it.goBack();
      await page.get("heading", "/t/steps/a").waitFor();
    },
  );

  await check("tree: the keyboard alone finds, opens and goes back", async (open) => {
    await put(url, "/t/board/one/key", { value: "by keyboard" });
    const page = await open(url);
    await at(page, "/t/board");
    await page.get("link", "directory one").waitFor();
    await page.it.keyboard.press("/");
    await page.it.keyboard.type("by keyboard");
    await page.it.keyboard.press("Enter");
    await page.seen(/^Found 1 in/);
    const hit = page.get("link", "/t/board/one/key");
    for (
      let step = 0;
      step < 40 && !(await hit.evaluate((one) => one === document.activeElement));
      step += 1
    ) {
      await page.it.keyboard.press("Tab");
    }
    await page.it.keyboard.press("Enter");
    await page.get("heading", "/t/board/one/key").waitFor();
    await page.it.goBack();
    await page.seen(/^Found 1 in/);
    await at(page, "/t/board");
    await page.get("link", "directory one").focus();
    await page.it.keyboard.press("n");
    await page.get("dialog", "New key").waitFor();
    await page.it.keyboard.press("Escape");
  });
}

async function paletteChecks(check, url) {
  await check("tree: commands of the view are in the palette", async (open) => {
    await put(url, "/t/pal/dir/x", { value: "1" });
    await put(url, "/t/pal/key", { value: "1" });
    const page = await open(url);
    const offered = async (place) => {
      await at(page, place);
      await until("the row is there", async () => (await selected(page).count()) === 1);
      await page.it.keyboard.press("Control+k");
      const texts = await page.get("listbox", "Found").getByRole("option").allInnerTexts();
      await page.it.keyboard.press("Escape");
      return texts.map((text) => text.split("\n")[0]);
    };
    const common = ["New key", "New directory", "Import", "Export"];
    const all = await offered("/t/pal/dir");
    same(all.slice(-6), [...common, "Delete", "Show hidden nodes"], "commands of a directory");
    // What is deleted is what is open: of a key, that is not its directory.
    const ofKey = await offered("/t/pal/key");
    same(
      ofKey.filter((one) => [...common, "Show hidden nodes"].includes(one)),
      [...common, "Show hidden nodes"],
      "commands of a key",
    );
    await page.it.keyboard.press("Control+k");
    await page.it.keyboard.type("show hidden");
    await page.it.keyboard.press("Enter");
    await until("the switch is on", () => page.it.getByLabel("Hidden nodes").isChecked());
    await page.it.getByLabel("Hidden nodes").uncheck();
  });

  await check("tree: a directory that is deleted and made again is open again", async (open) => {
    await put(url, "/t/again/dir/x", { value: "1" });
    const page = await open(url);
    await at(page, "/t/again/dir/x");
    await row(page, "x").waitFor();
    await ask(url, "DELETE", "/v2/keys/t/again/dir?recursive=true");
    await until("its rows are gone", async () => (await row(page, /^(dir|x)$/).count()) === 0);
    await put(url, "/t/again/dir/y", { value: "1" });
    await row(page, /^y$/).waitFor();
  });

  await check("tree: a key that becomes a directory, and is a key again", async (open) => {
    await put(url, "/t/kind/it", { value: "a key" });
    const page = await open(url);
    await at(page, "/t/kind/it");
    await page.it.locator("#open-place").getByText("a key").waitFor();
    await ask(url, "DELETE", "/v2/keys/t/kind/it");
    await put(url, "/t/kind/it/below", { value: "1" });
    await at(page, "/t/kind");
    await page.get("link", "directory it").click();
    await page.get("link", "below").waitFor();
    await ask(url, "DELETE", "/v2/keys/t/kind/it?recursive=true");
    await put(url, "/t/kind/it", { value: "a key again" });
    await page.it.locator("#open-place").getByText("a key again").waitFor();
  });
}

async function liveChecks(check, url) {
  await check(
    "tree: the table follows what is made, changed, expires and is deleted",
    async (open) => {
      await put(url, "/t/live/a", { value: "before" });
      await put(url, "/t/live/dir/x", { value: "1" });
      const page = await open(url);
      await at(page, "/t/live");
      const line = (name) => page.it.locator("tbody tr", { has: page.get("link", name) });
      await line("a").getByText("before").waitFor();
      await line("directory dir").getByText("1 child").waitFor();
      await put(url, "/t/live/a", { value: "after" });
      await line("a").getByText("after").waitFor();
      await put(url, "/t/live/b", { value: "1", ttl: "3" });
      await line("b")
        .getByText(/^[1-3] s$/)
        .waitFor();
      await put(url, "/t/live/dir/y/z", { value: "1" });
      await line("directory dir").getByText("2 children").waitFor();
      await until("what has expired is gone", async () => (await line("b").count()) === 0);
      await until("in the tree as well", async () => (await row(page, /^b( ttl)?$/).count()) === 0);
      await put(url, "/t/live/made/by/the/way", { value: "1" });
      await line("directory made").waitFor();
      await ask(url, "DELETE", "/v2/keys/t/live?recursive=true");
      await page.seen("This directory has been deleted");
      await put(url, "/t/live/again", { value: "1" });
      await line("again").waitFor();
    },
  );

  await check(
    "tree: a large directory follows, with no more than a page a second",
    async (open) => {
      const names = Array.from({ length: 1500 }, (_, n) => `k${String(n).padStart(4, "0")}`);
      await Promise.all(
        Array.from({ length: 16 }, async () => {
          for (let name = names.pop(); name; name = names.pop())
            await put(url, `/t/flow/${name}`, { value: "1" });
        }),
      );
      const page = await open(url);
      await at(page, "/t/flow");
      await page.get("link", "k0000").waitFor();
      const asked = [];
      page.it.on("request", (request) => {
        if (/offset|limit/.test(request.url())) asked.push(request.url());
      });
      const begin = Date.now();
      let number = 0;
      while (Date.now() - begin < 4000) {
        await put(url, `/t/flow/a${String(number).padStart(5, "0")}`, { value: "1" });
        number += 1;
      }
      await page.seen(`${(1500 + number).toLocaleString("en")} keys and directories below`);
      ensure(number > 50, `many were made: ${number}`);
      // The tree and the table, each at most once a second.
      ensure(asked.length <= 14, `few pages were read: ${asked.length}`);
    },
  );

  await check("tree: hidden nodes are kept out of what is live", async (open) => {
    await put(url, "/t/veil/a", { value: "1" });
    const page = await open(url);
    await at(page, "/t/veil");
    await page.get("link", "a").waitFor();
    await put(url, "/t/veil/_secret", { value: "1" });
    await put(url, "/t/veil/b", { value: "1" });
    await page.get("link", "b").waitFor();
    same(await page.get("link", "_secret").count(), 0, "a hidden node");
    await page.it.getByLabel("Hidden nodes").check();
    await page.get("link", "_secret").waitFor();
    await page.it.reload();
    await page.get("link", "_secret").waitFor();
    await page.it.getByLabel("Hidden nodes").uncheck();
    await until(
      "it is hidden again",
      async () => (await page.get("link", "_secret").count()) === 0,
    );
  });
}

export async function treeChecks(check) {
  await alone([], async ({ url }) => {
    await placeChecks(check, url);
    await paletteChecks(check, url);
    await liveChecks(check, url);
  });
}
