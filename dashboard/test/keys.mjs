// The view of keys: everything that can be done in it.

import { ask, ensure, put, same, until } from "./kit.mjs";

async function item(page, name) {
  const found = page.it.getByRole("treeitem", { name }).first();
  await found.waitFor();
  return found;
}

/** The browser reports every answer above 399 by itself. */
function expectStatus(page, status) {
  page.problems = page.problems.filter((problem) => !problem.includes(`status of ${status}`));
}

export async function keysChecks(check, cluster) {
  const { url } = cluster.machines[1];
  const value = async (key) => (await ask(url, "GET", `/v2/keys${key}`)).json.node?.value;

  await check("keys: create, edit, give a time to live, delete", async (open) => {
    const page = await open(url);
    await page.go("keys");
    await page.press("New directory");
    await page.it.getByLabel("Name in /").fill("made");
    await page.press("Create");
    await page.seen("/made was created.");
    await page.get("heading", "/made").waitFor();
    await page.press("New key");
    await page.it.getByLabel("Name in /made").fill("a/b");
    await page.it.getByLabel("Value").last().fill('{"x":[1,2]}');
    await page.press("Create");
    await page.get("heading", "/made/a/b").waitFor();
    same(await value("/made/a/b"), '{"x":[1,2]}', "the value");
    same(await page.it.locator("pre.value").innerText(), '{\n  "x": [\n    1,\n    2\n  ]\n}', "the value, indented");
    await page.it.getByLabel("Indent JSON").uncheck();
    same(await page.it.locator("pre.value").innerText(), '{"x":[1,2]}', "the value as it is");
    await page.press("Edit");
    await page.it.getByRole("textbox", { name: "Value" }).fill("new");
    await page.it.getByLabel(/TTL in seconds/).fill("500");
    await page.press("Save");
    await page.seen("/made/a/b was saved.");
    same(await value("/made/a/b"), "new", "the value");
    const ttl = page.it.locator("dd", { hasText: "expires in" });
    const first = await ttl.innerText();
    await until("the time runs", async () => await ttl.innerText() !== first);
    const { modifiedIndex } = (await ask(url, "GET", "/v2/keys/made/a/b")).json.node;
    await page.it.locator("dl.facts", { hasText: "Modified" }).getByText(modifiedIndex.toLocaleString("en"), { exact: true }).first().waitFor();
    await page.press("Delete");
    await page.it.locator("dialog").getByRole("button", { name: "Delete", exact: true }).click();
    await page.seen("/made/a/b was deleted.");
    same((await ask(url, "GET", "/v2/keys/made/a/b")).status, 404, "the key");
  });

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

  await check("keys: somebody else was faster", async (open) => {
    await put(url, "/race", { value: "one\ntwo\nthree" });
    const page = await open(url);
    const begin = async (mine, theirs) => {
      await page.press("Reload");
      await page.press("Edit");
      await page.it.getByRole("textbox", { name: "Value" }).fill(mine);
      await put(url, "/race", { value: theirs });
      await page.press("Save");
      await page.get("heading", "/race has changed").waitFor();
      expectStatus(page, 412);
    };
    await page.go("keys/race");
    await page.get("button", "Edit").waitFor();
    await begin("one\nmine\nthree", "one\ntheirs\nthree");
    const rows = await page.it.locator(".diff tbody tr").allInnerTexts();
    same(rows.map((row) => row.replace(/\s+/g, " ").trim()), ["both one", "theirs theirs", "mine mine", "both three"], "the difference");
    await page.seen("Compare failed");
    await page.press("Keep the current value");
    await page.it.locator("pre.value", { hasText: "theirs" }).waitFor();
    same(await value("/race"), "one\ntheirs\nthree", "theirs");
    await begin("mine again", "theirs again");
    await page.press("Overwrite with mine");
    await page.seen("/race was saved.");
    same(await value("/race"), "mine again", "mine");
    await begin("a draft", "theirs at last");
    await page.press("Continue editing");
    same(await page.it.getByRole("textbox", { name: "Value" }).inputValue(), "a draft", "the draft");
    await page.press("Save");
    await until("the draft is saved", async () => await value("/race") === "a draft");
  });

  await check("keys: gone while it was edited", async (open) => {
    await put(url, "/vanishes", { value: "1" });
    const page = await open(url);
    await page.go("keys/vanishes");
    await page.press("Edit");
    await ask(url, "DELETE", "/v2/keys/vanishes");
    await page.press("Save");
    await page.press("Create it again");
    await until("it is back", async () => await value("/vanishes") === "1");
    expectStatus(page, 404);
  });

  await check("keys: all of a directory goes only after its name was typed", async (open) => {
    await put(url, "/old/a", { value: "1" });
    await put(url, "/old/_b", { value: "2" });
    const page = await open(url);
    await page.go("keys/old");
    await page.get("heading", "/old").waitFor();
    await page.press("Delete");
    const button = page.get("button", "Delete everything");
    await page.seen("2 nodes");
    ensure(await button.isDisabled(), "the name is wanted first");
    await page.it.getByLabel("Type old to confirm").fill("ol");
    ensure(await button.isDisabled(), "half of the name is not enough");
    await page.it.getByLabel("Type old to confirm").fill("old");
    await button.click();
    await page.seen("/old was deleted.");
    same((await ask(url, "GET", "/v2/keys/old")).status, 404, "the directory");
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
    await until("they are hidden again", async () => await page.it.getByRole("treeitem", { name: /_hidden/ }).count() === 0);
  });

  await check("keys: search in keys and values", async (open) => {
    await put(url, "/find/needle", { value: "hay" });
    await put(url, "/find/deep/hay", { value: "a NEEDLE in it" });
    await put(url, "/find/none", { value: "hay" });
    const page = await open(url);
    await page.go("keys/find");
    await page.get("heading", "/find").waitFor();
    await page.it.getByRole("searchbox").fill("needle");
    await page.press("Search");
    await page.seen("Found 2 in 4 nodes.");
    await page.press("/find/deep/hay");
    await page.get("heading", "/find/deep/hay").waitFor();
  });

  await check("keys: a search is cancelled", async (open) => {
    const page = await open(url);
    await page.go("keys/find");
    await page.get("heading", "/find").waitFor();
    // The answer never comes.
    await page.it.route(/recursive=true/, () => {});
    await page.it.getByRole("searchbox").fill("needle");
    await page.press("Search");
    await page.seen("Reading the directory...");
    await page.press("Cancel");
    await page.seen("Cancelled.");
    ensure(await page.get("button", "Cancel").isDisabled(), "there is nothing more to cancel");
  });

  await check("keys: live events below a directory", async (open) => {
    await put(url, "/live/a", { value: "0" });
    const page = await open(url);
    await page.go("keys/live");
    await page.get("heading", "/live").waitFor();
    await page.press("Follow");
    await page.seen("Connected: waiting for events.");
    for (let number = 1; number <= 20; number += 1) await put(url, "/live/a", { value: `n${number} {"}` });
    await put(url, "/elsewhere", { value: "1" });
    await ask(url, "DELETE", "/v2/keys/live/a");
    const events = page.it.locator(".events li");
    await until("all events are there", async () => await events.count() === 21);
    ensure((await events.first().innerText()).includes("delete"), "the newest is first");
    ensure((await events.nth(1).innerText()).includes('n20 {"}'), "with its value");
    await page.press("Stop");
    await page.seen("Not following.");
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
    await item(page, /x/);
    await go("ArrowDown", "/board/x");
    await go("Enter");
    await item(page, /y/);
    await go("ArrowRight", "/board/x/y");
    await go("ArrowLeft", "/board/x");
    await go("Home", "/");
    ensure(page.it.url().endsWith("#/keys/"), `the address follows: ${page.it.url()}`);
  });

  await check("keys: names with anything in them", async (open) => {
    const key = "/odd/\u4f60 %?#&\"'<b>";
    await put(url, `/odd/${encodeURIComponent("\u4f60 %?#&\"'<b>")}`, { value: "<img src=x onerror=alert(1)>" });
    const page = await open(url);
    await page.go("keys/odd");
    await page.get("heading", "/odd").waitFor();
    await page.it.locator("#tree").focus();
    await page.it.keyboard.press("ArrowRight");
    await (await item(page, /%/)).click();
    await page.get("heading", key).waitFor();
    same(await page.it.locator("pre.value").innerText(), "<img src=x onerror=alert(1)>", "the value is text");
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
    expectStatus(page, 412);
  });

  await check("keys: a directory of 100,000 keys", async (open) => {
    const names = Array.from({ length: 100_000 }, (_, number) => `k${String(number).padStart(6, "0")}`);
    await Promise.all(Array.from({ length: 64 }, async () => {
      for (let name = names.pop(); name; name = names.pop()) await put(url, `/big/${name}`, { value: `value of ${name}` });
    }));
    const page = await open(url);
    await page.go("keys/big");
    await page.get("heading", "/big").waitFor();
    await page.it.locator("#tree").focus();
    await page.it.keyboard.press("ArrowRight");
    await item(page, /k000000/);
    const rows = page.it.getByRole("treeitem");
    ensure(await rows.count() < 150, "only what is in sight is in the page");
    await page.seen("Children");
    await page.it.keyboard.press("ArrowDown");
    await page.get("heading", "/big/k000000").waitFor();
    for (let step = 0; step < 5; step += 1) await page.it.keyboard.press("PageDown");
    await page.it.locator("#tree").evaluate((tree) => { tree.scrollTop = tree.scrollHeight / 2; });
    await item(page, /k0[45]\d{4}/);
    await page.it.getByRole("searchbox").fill("value of k099999");
    await page.press("Search");
    await page.seen("Found 1 in 100,000 nodes.");
    await page.press("/big/k099999");
    await page.get("heading", "/big/k099999").waitFor();
    await item(page, /k099999/);
  });
}
