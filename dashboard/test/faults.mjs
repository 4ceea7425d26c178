// What the page once got wrong: each check failed while its fault was there.

import { allow, alone, ask, ensure, put, same, until } from "./kit.mjs";

function textbox(page, name) {
  return page.it.getByRole("textbox", { name, exact: true });
}

function row(page, name) {
  return page.it.getByRole("treeitem", { name });
}

async function at(page, key) {
  await page.go(`keys${key}`);
  await page.get("heading", key).waitFor();
}

/** What is in the menu of the open directory. */
async function action(page, name) {
  await page.press("More actions");
  await page.get("menuitem", name).click();
}

async function typedTextChecks(check, url) {
  await check(
    "faults: a form stays open, with what was typed, until the server has taken it",
    async (open) => {
      await put(url, "/f/taken", { value: "theirs" });
      const page = await open(url);
      await at(page, "/f");
      await page.press("New key");
      const dialog = page.get("dialog", "New key");
      await textbox(page, "Value").fill("a long text");
      const fails = async (sentence) => {
        await page.press("Create");
        await dialog.getByRole("alert").getByText(sentence).waitFor();
        same(await textbox(page, "Value").inputValue(), "a long text", "what was typed");
      };
      await fails("Enter a name, such as a or a/b.");
      await textbox(page, "Name in /f").fill("taken");
      await fails("Key already exists: /f/taken");
      same(await page.faults(), [], "a form that says what is wrong");
      await textbox(page, "Name in /f").fill("free");
      await page.press("Create");
      await page.get("heading", "/f/free").waitFor();
      await dialog.waitFor({ state: "detached" });
      allow(page, 412);
    },
  );

  await check("faults: a TTL that is none is told of before anything is sent", async (open) => {
    await put(url, "/f/ttls/a", { value: "1" });
    const page = await open(url);
    await at(page, "/f/ttls");
    await page.press("New key");
    await textbox(page, "Name in /f/ttls").fill("t");
    for (const ttl of ["-5", "0", "0.5"]) {
      await page.it.getByLabel("TTL in seconds").fill(ttl);
      await page.press("Create");
      await page.seen("Enter the TTL as whole seconds, at least 1, or leave it empty.");
      same((await ask(url, "GET", "/v2/keys/f/ttls/t")).status, 404, "the key");
      await page.it.getByLabel("TTL in seconds").fill("60");
    }
    await page.press("Create");
    await page.get("heading", "/f/ttls/t").waitFor();
  });

  await check("faults: Enter sends a form, and a name typed to confirm", async (open) => {
    await put(url, "/f/enter/a", { value: "1" });
    const page = await open(url);
    await at(page, "/f/enter");
    await action(page, "New directory");
    await page.it.keyboard.insertText("made");
    await page.it.keyboard.press("Enter");
    await page.get("heading", "/f/enter/made").waitFor();
    await at(page, "/f/enter");
    await action(page, "Delete");
    await page.it.getByLabel("Type enter to confirm").fill("enter");
    await page.it.keyboard.press("Enter");
    await page.seen("/f/enter was deleted.");
    allow(page, 404);
  });
}

async function truthChecks(check, url) {
  await check(
    "faults: a key that is newer than the tree is selected, and search is beside it",
    async (open) => {
      await put(url, "/f/new/a", { value: "1" });
      const page = await open(url);
      await at(page, "/f/new/a");
      await put(url, "/f/new/late", { value: "1" });
      await page.it.evaluate(() => {
        location.hash = "#/keys/f/new/late";
      });
      await page.get("heading", "/f/new/late").waitFor();
      await page.it
        .locator('[role="treeitem"][aria-selected="true"]', { hasText: "late" })
        .waitFor();
      await page.it
        .getByRole("searchbox", { name: "Search in names and values below /f/new", exact: true })
        .waitFor();
      await page.it.evaluate(() => {
        location.hash = "#/keys/f/new/none";
      });
      await page.seen("Key not found");
      await page.it
        .getByRole("searchbox", { name: "Search in names and values below /f/new", exact: true })
        .waitFor();
      allow(page, 404);
    },
  );

  await check("faults: the tree, the value and the number of children follow", async (open) => {
    await put(url, "/f/follow/a", { value: "before" });
    await put(url, "/f/follow/b", { value: "1" });
    const page = await open(url);
    await at(page, "/f/follow/a");
    await put(url, "/f/follow/a", { value: "after" });
    await page.it.locator("#open-place").getByText("after", { exact: true }).first().waitFor();
    await ask(url, "DELETE", "/v2/keys/f/follow/b");
    await until("the row is gone", async () => (await row(page, /^b$/).count()) === 0);
    await put(url, "/f/follow/c", { value: "1" });
    await row(page, /^c$/).waitFor();
    await at(page, "/f/follow");
    await page.seen("2 keys and directories below, 2 here");
    await put(url, "/f/follow/d", { value: "1" });
    await page.seen("3 keys and directories below, 3 here");
    await page.get("link", "d").waitFor();
  });

  await check("faults: deleting a directory counts everything below it", async (open) => {
    for (const dir of ["a", "_b"]) {
      for (let number = 0; number < 5; number += 1)
        await put(url, `/f/many/${dir}/${number}`, { value: "1" });
    }
    const page = await open(url);
    await at(page, "/f/many");
    await action(page, "Delete");
    await page.seen("Everything below /f/many is deleted as well: 12 nodes.");
    await page.it.keyboard.press("Escape");
  });
}

async function seeingChecks(check, url) {
  await check("faults: Back leads through the keys that were looked at", async (open) => {
    for (const name of ["one", "two", "three"]) await put(url, `/f/back/${name}`, { value: name });
    const page = await open(url);
    await at(page, "/f/back/one");
    for (const name of ["two", "three"]) {
      await row(page, new RegExp(name)).click();
      await page.get("heading", `/f/back/${name}`).waitFor();
    }
    for (const name of ["two", "one"]) {
      await page.it.goBack();
      await page.get("heading", `/f/back/${name}`).waitFor();
    }
    await page.it.goForward();
    await page.get("heading", "/f/back/two").waitFor();
  });

  await check(
    "faults: deep directories stay within their cards, and each level is further in",
    async (open) => {
      const names = Array.from({ length: 25 }, (_, level) => `levelnumber${level}`);
      const deep = `/f/deep/${names.join("/")}`;
      await put(url, `${deep}/key`, { value: "1" });
      const page = await open(url);
      await at(page, deep);
      const beyond = (element) =>
        element.evaluate(
          (one) =>
            one.getBoundingClientRect().right -
            (one.closest("section")?.getBoundingClientRect().right ?? window.innerWidth),
        );
      for (const name of [/^Search in/, /^Filter names in/, "Filter the table"])
        ensure((await beyond(page.get("searchbox", name))) < 0, `${name} is in its place`);
      ensure((await beyond(page.get("button", "New key"))) < 0, "the button is in its card");
      ensure((await beyond(page.get("button", "More actions"))) < 0, "and the menu");
      same(await page.isTooWide(), false, "the page is wider than the window");
      const left = (level) =>
        row(page, new RegExp(`levelnumber${level}$`))
          .getByText(`levelnumber${level}`, { exact: true })
          .evaluate((one) => one.getBoundingClientRect().left);
      const lefts = [await left(22), await left(23), await left(24)];
      ensure(lefts[0] < lefts[1] && lefts[1] < lefts[2], `each level is further in: ${lefts}`);
    },
  );

  await check("faults: names are shown as what they are", async (open) => {
    const names = ["\u202eevil", "   ", "a\nb"];
    for (const name of names)
      await put(url, `/f/hostile/${encodeURIComponent(name)}`, { value: "1" });
    const page = await open(url);
    await at(page, "/f/hostile");
    await page.it.locator("#tree").focus();
    await page.it.keyboard.press("ArrowRight");
    for (const text of ["\\u{202e}evil", "\\u{20}\\u{20}\\u{20}", "a\\u{a}b"])
      await page.it.getByRole("treeitem").getByText(text, { exact: true }).waitFor();
    await row(page, /evil/).click();
    await page.get("heading", "/f/hostile/\\u{202e}evil").waitFor();
    await page.it.goBack();
    await page.get("checkbox", "Select \\u{202e}evil").check();
    await page.press("Delete");
    await page.get("heading", "Delete 1 key in /f/hostile?").waitFor();
    await page
      .get("dialog", /^Delete/)
      .getByRole("button", { name: "Delete", exact: true })
      .click();
    await page.seen("1 of 1 were deleted.");
    same(
      (await ask(url, "GET", "/v2/keys/f/hostile")).json.node.nodes.length,
      2,
      "the others stay",
    );
    ensure(
      !(await page.it.locator("body").innerText()).includes("\u202e"),
      "nothing turns the text around",
    );
  });

  await check("faults: what the server refuses is not offered", async (open) => {
    await ask(url, "POST", "/mod/v2/lock/f-refused?ttl=600", { value: "somebody" });
    const page = await open(url);
    for (const dir of ["/_etcd", "/_etcd/mod"]) {
      await at(page, dir);
      await page.seen("The server keeps this directory itself.");
      same(
        await page.get("button", /^(New key|New directory|Delete|Edit)$/).count(),
        0,
        `buttons on ${dir}`,
      );
      await page.press("More actions");
      same(await page.get("menuitem", /./).allInnerTexts(), ["Export"], `the menu of ${dir}`);
      await page.it.keyboard.press("Escape");
    }
  });
}

export async function faultsChecks(check) {
  await alone([], async ({ url }) => {
    await typedTextChecks(check, url);
    await truthChecks(check, url);
    await seeingChecks(check, url);
  });
}
