// The view of keys: everything that can be done in it.

import { allow, ask, ensure, put, same, until } from "./kit.mjs";

async function item(page, name) {
  const found = page.it.getByRole("treeitem", { name }).first();
  await found.waitFor();
  return found;
}

/** What is in the menu of the open directory. */
async function action(page, name) {
  await page.press("More actions");
  await page.get("menuitem", name).click();
}

function searchField(page) {
  return page.it.getByRole("searchbox", { name: /^Search in names and values below/ });
}

export async function keysChecks(check, cluster) {
  const { url } = cluster.machines[1];
  const value = async (key) => (await ask(url, "GET", `/v2/keys${key}`)).json.node?.value;

  await check("keys: a key in order", async (open) => {
    await put(url, "/queue/first", { value: "x" });
    const page = await open(url);
    await page.go("keys/queue");
    await page.get("heading", "/queue").waitFor();
    await page.press("New key");
    await page.it.getByLabel(/In-order key/).check();
    await page.it.getByRole("textbox", { name: "Value" }).fill("job");
    await page.press("Create");
    await page.it.getByRole("heading", { name: /^\/queue\/\d+$/ }).waitFor();
  });

  await check("keys: all of a directory goes only after its name was typed", async (open) => {
    await put(url, "/old/a", { value: "1" });
    await put(url, "/old/_b", { value: "2" });
    await put(url, "/old/in/side", { value: "3", ttl: "900" });
    const page = await open(url);
    await page.go("keys/old");
    await page.get("heading", "/old").waitFor();
    await action(page, "Delete");
    const button = page.get("button", "Delete everything");
    await page.seen("4 nodes");
    ensure(await button.isDisabled(), "the name is wanted first");
    await page.it.getByLabel("Type old to confirm").fill("ol");
    ensure(await button.isDisabled(), "half of the name is not enough");
    await page.it.getByLabel("Type old to confirm").fill("old");
    await button.click();
    await page.seen("/old was deleted.");
    same((await ask(url, "GET", "/v2/keys/old")).status, 404, "the directory");
    await page.press("Undo");
    await page.seen("5 changes undone.");
    const { node } = (await ask(url, "GET", "/v2/keys/old?recursive=true&hidden=true")).json;
    same(
      node.nodes.map(({ key, value }) => [key, value ?? null]).sort(),
      [
        ["/old/_b", "2"],
        ["/old/a", "1"],
        ["/old/in", null],
      ],
      "what was in it",
    );
    const side = (await ask(url, "GET", "/v2/keys/old/in/side")).json.node;
    ensure(side.value === "3" && side.ttl > 800 && side.ttl <= 900, `a TTL of ${side.ttl}`);
  });

  await check("keys: hidden nodes by a switch", async (open) => {
    await put(url, "/shown/_hidden/x", { value: "1" });
    await put(url, "/shown/a", { value: "1" });
    const page = await open(url);
    await page.go("keys/shown/a");
    await item(page, /^. a$|a$/);
    same(await page.it.getByRole("treeitem", { name: /_hidden/ }).count(), 0, "hidden nodes");
    await page.it.getByLabel("Hidden nodes").check();
    await item(page, /_hidden/);
    await page.it.getByLabel("Hidden nodes").uncheck();
    await until(
      "they are hidden again",
      async () => (await page.it.getByRole("treeitem", { name: /_hidden/ }).count()) === 0,
    );
  });

  await check("keys: search in keys and values", async (open) => {
    await put(url, "/find/needle", { value: "hay" });
    await put(url, "/find/deep/hay", { value: "a NEEDLE in it" });
    await put(url, "/find/none", { value: "hay" });
    const page = await open(url);
    await page.go("keys/find");
    await page.get("heading", "/find").waitFor();
    await searchField(page).fill("needle");
    await page.press("Search");
    await page.seen("Found 2 in 4 nodes.");
    ensure(page.it.url().endsWith("#/keys/find?search=needle"), `an address: ${page.it.url()}`);
    const marked = await page.it.locator("mark").allInnerTexts();
    same(marked, ["NEEDLE", "needle"], "what was found is marked");
    await page.get("link", "/find/deep/hay").click();
    await page.get("heading", "/find/deep/hay").waitFor();
    await page.it.goBack();
    await page.seen("Found 2 in 4 nodes.");
  });

  await check("keys: a search is cancelled", async (open) => {
    const page = await open(url);
    await page.go("keys/find");
    await page.get("heading", "/find").waitFor();
    // The answer never comes.
    await page.it.route(/recursive=true&sorted/, () => {});
    await searchField(page).fill("needle");
    await page.press("Search");
    await page.seen("Reading the directory...");
    await page.press("Cancel");
    await page.seen("Cancelled.");
    same(await page.get("button", "Cancel").count(), 0, "there is nothing more to cancel");
  });

  await check("keys: the tree by keyboard", async (open) => {
    await put(url, "/board/x/y", { value: "1" });
    const page = await open(url);
    await page.go("keys/board");
    await page.get("heading", "/board").waitFor();
    await page.it.locator("#tree").focus();
    const go = async (key, heading) => {
      await page.it.keyboard.press(key);
      if (heading) await page.get("heading", heading).waitFor();
    };
    await go("ArrowRight");
    await item(page, /^x$/);
    await go("ArrowDown", "/board/x");
    await go("Enter");
    await item(page, /y/);
    await go("ArrowRight", "/board/x/y");
    await go("ArrowLeft", "/board/x");
    await go("Home", "/");
    ensure(page.it.url().endsWith("#/keys"), `the address follows: ${page.it.url()}`);
  });

  await check("keys: names with anything in them", async (open) => {
    const key = "/odd/\u4f60 %?#&\"'<b>";
    await put(url, `/odd/${encodeURIComponent("\u4f60 %?#&\"'<b>")}`, {
      value: "<img src=x onerror=alert(1)>",
    });
    const page = await open(url);
    await page.go("keys/odd");
    await page.get("heading", "/odd").waitFor();
    await page.it.locator("#tree").focus();
    await page.it.keyboard.press("ArrowRight");
    await (await item(page, /%/)).click();
    await page.get("heading", key).waitFor();
    const text = page.it.locator("#open-place").getByText("<img src=x onerror=alert(1)>");
    await text.first().waitFor();
    same(await page.it.locator("#open-place img").count(), 0, "the value is text");
    await page.it.reload();
    await page.get("heading", key).waitFor();
  });

  await check("keys: errors in the server's own words", async (open) => {
    await put(url, "/taken", { value: "1" });
    const page = await open(url);
    await page.go("keys");
    await page.press("New key");
    await page.it.getByLabel("Name in /").fill("taken");
    await page.press("Create");
    await page.seen("Key already exists: /taken");
    allow(page, 412);
  });

  await check("keys: a directory of 100,000 keys", async (open) => {
    const names = Array.from(
      { length: 100_000 },
      (_, number) => `k${String(number).padStart(6, "0")}`,
    );
    await Promise.all(
      Array.from({ length: 64 }, async () => {
        for (let name = names.pop(); name; name = names.pop())
          await put(url, `/big/${name}`, { value: `value of ${name}` });
      }),
    );
    const page = await open(url);
    await page.go("keys/big");
    await page.get("heading", "/big").waitFor();
    await page.seen("100,000 keys and directories below, 100,000 here");
    await page.it.locator("#tree").focus();
    const begin = Date.now();
    await page.it.keyboard.press("ArrowRight");
    await item(page, /k000000/);
    ensure(Date.now() - begin < 1000, `it opens at once: ${Date.now() - begin} ms`);
    const rows = page.it.getByRole("treeitem");
    ensure((await rows.count()) < 150, "only what is in sight is in the page");
    ensure((await page.it.locator(".listing tr").count()) < 150, "of the table too");
    await page.it.keyboard.press("ArrowDown");
    await page.get("heading", "/big/k000000").waitFor();
    for (let step = 0; step < 5; step += 1) await page.it.keyboard.press("PageDown");
    await page.it.locator("#tree").evaluate((tree) => {
      tree.scrollTop = tree.scrollHeight / 2;
    });
    await item(page, /k0[45]\d{4}/);
    await searchField(page).fill("value of k099999");
    await page.press("Search");
    await page.seen("Found 1 in 100,000 nodes.");
    await page.get("link", "/big/k099999").click();
    await page.get("heading", "/big/k099999").waitFor();
    await item(page, /k099999/);
    const selected = page.it.locator('[role="treeitem"][aria-selected="true"]');
    await selected.filter({ hasText: "k099999" }).waitFor();
    // Far from what is in sight, in a listing of which that page was never read.
    await page.it.evaluate(() => {
      location.hash = "#/keys/big/k031415";
    });
    await selected.filter({ hasText: "k031415" }).waitFor();
    await page.go("keys/big?order=-name");
    await page.get("link", /^k099999/).waitFor();
    await page.it.locator(".rows-box").evaluate((box) => {
      box.scrollTop = box.scrollHeight;
    });
    await page.get("link", /^k000000/).waitFor();
    const gaps = page.it.locator(".rows-box .skeleton");
    await until("there are no gaps", async () => (await gaps.count()) === 0);
  });
}
