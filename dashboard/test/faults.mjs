// What the page once got wrong: each check failed while its fault was there.

import { alone, ask, ensure, put, Relay, same, until } from "./kit.mjs";

function allow(page, ...statuses) {
  page.problems = page.problems.filter(
    (problem) => !statuses.some((status) => problem.includes(`status of ${status}`)),
  );
}

/** The browser reports every connection that breaks by itself. */
function forget(page) {
  page.it.removeAllListeners("console");
  page.problems = page.problems.filter((problem) => !problem.includes("net::ERR"));
}

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

async function edit(page, text) {
  await page.press("Edit");
  await textbox(page, "Value").fill(text);
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

  await check(
    "faults: a form stays open where nobody answers, and says that it is saving",
    async (open) => {
      await put(url, "/f/kept", { value: "1" });
      const relay = await Relay.to(url);
      try {
        const page = await open(relay.url);
        await at(page, "/f/kept");
        await edit(page, "my text");
        relay.hold();
        await page.press("Save");
        await page.get("button", "Saving...").waitFor();
        relay.close();
        await page
          .get("dialog", "Edit /f/kept")
          .getByText("This server is not responding.")
          .waitFor();
        same(await textbox(page, "Value").inputValue(), "my text", "what was typed");
        await relay.open();
        await page.press("Save");
        await page.seen("/f/kept was saved.");
        forget(page);
      } finally {
        relay.close();
      }
    },
  );

  await check("faults: line ends that were not touched are kept", async (open) => {
    await put(url, "/f/ends", { value: "a\r\nb\nc\r\nd\r\n" });
    const page = await open(url);
    await at(page, "/f/ends");
    await edit(page, "a\nb\nnew\nc\nd\n");
    await page.press("Save");
    await page.seen("/f/ends was saved.");
    const { json } = await ask(url, "GET", "/v2/keys/f/ends");
    same(json.node.value, "a\r\nb\nnew\nc\r\nd\r\n", "the value");
  });

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
    await page.press("New directory");
    await page.it.keyboard.insertText("made");
    await page.it.keyboard.press("Enter");
    await page.get("heading", "/f/enter/made").waitFor();
    await at(page, "/f/enter");
    await page.press("Delete");
    await page.it.getByLabel("Type enter to confirm").fill("enter");
    await page.it.keyboard.press("Enter");
    await page.seen("/f/enter was deleted.");
    allow(page, 404);
  });

  await check("faults: Escape and Back ask before what was typed is lost", async (open) => {
    for (const name of ["x", "y"]) await put(url, `/f/leave/${name}`, { value: name });
    const page = await open(url);
    await at(page, "/f/leave/x");
    await row(page, /y/).click();
    await page.get("heading", "/f/leave/y").waitFor();
    const dialog = page.get("dialog", "Edit /f/leave/y");
    await edit(page, "a draft");
    for (const leave of [
      () => page.it.keyboard.press("Escape"),
      () => page.it.goBack(),
      () => dialog.getByRole("button", { name: "Cancel" }).click(),
    ]) {
      await leave();
      await page.get("heading", "Discard what you typed?").waitFor();
      await page.press("Continue editing");
      same(await textbox(page, "Value").inputValue(), "a draft", "what was typed");
      ensure(
        page.it.url().endsWith("#/keys/f/leave/y"),
        `the address is of what is edited: ${page.it.url()}`,
      );
    }
    await page.it.goBack();
    await page.press("Discard");
    await page.get("heading", "/f/leave/x").waitFor();
    same(await dialog.count(), 0, "forms over another key");
    await page.press("Edit");
    await page.it.keyboard.press("Escape");
    await page.get("dialog", "Edit /f/leave/x").waitFor({ state: "detached" });
  });

  await check("faults: a conflict keeps the TTL that was typed", async (open) => {
    await put(url, "/f/conflict", { value: "1" });
    const page = await open(url);
    await at(page, "/f/conflict");
    await edit(page, "mine");
    await page.it.getByLabel(/TTL in seconds/).fill("9999");
    await put(url, "/f/conflict", { value: "theirs", ttl: "500" });
    await page.press("Save");
    await page.press("Continue editing");
    same(await page.it.getByLabel(/TTL in seconds/).inputValue(), "9999", "the TTL");
    await page.press("Save");
    await page.seen("/f/conflict was saved.");
    ensure(
      (await ask(url, "GET", "/v2/keys/f/conflict")).json.node.ttl > 9000,
      "the TTL is the one that was typed",
    );
    allow(page, 412);
  });
}

async function truthChecks(check, url) {
  await check("faults: locks by their whole names", async (open) => {
    const page = await open(url);
    await page.go("locks");
    const take = (name, value) => ask(url, "POST", `/mod/v2/lock/${name}?ttl=600`, { value });
    await take("f/db", "runner-6");
    await take("f/db/migrate", "runner-7");
    await page.seen("f/db: held by runner-6, 0 waiting");
    await page.seen("f/db/migrate: held by runner-7, 0 waiting");
    const said = await page.it.locator("main").innerText();
    ensure(!/undefined|NaN/.test(said), `what is no lock is not shown: ${said}`);
  });

  await check("faults: what was held before the page came is older than it", async (open) => {
    await ask(url, "POST", "/mod/v2/lock/f-old?ttl=600", { value: "early" });
    const page = await open(url);
    await page.go("locks");
    const of = (name) => page.get("region", `Lock ${name}`).locator("tbody");
    await of("f-old")
      .getByText(/^longer than \d+ s$/)
      .waitFor();
    await ask(url, "POST", "/mod/v2/lock/f-new?ttl=600", { value: "late" });
    await of("f-new")
      .getByText(/^\d+ s$/)
      .waitFor();
  });

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
        .getByRole("searchbox", { name: "In keys and values below /f/new", exact: true })
        .waitFor();
      await page.it.evaluate(() => {
        location.hash = "#/keys/f/new/none";
      });
      await page.seen("Key not found");
      await page.it
        .getByRole("searchbox", { name: "In keys and values below /f/new", exact: true })
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
    await page.it.locator("pre", { hasText: "after" }).waitFor();
    await ask(url, "DELETE", "/v2/keys/f/follow/b");
    await until("the row is gone", async () => (await row(page, /^\S* ?b$/).count()) === 0);
    await put(url, "/f/follow/c", { value: "1" });
    await row(page, /c$/).last().waitFor();
    await at(page, "/f/follow");
    const children = page.it.locator("dl", { hasText: "Children" });
    await children.getByText("2", { exact: true }).first().waitFor();
    await put(url, "/f/follow/d", { value: "1" });
    await children.getByText("3", { exact: true }).first().waitFor();
  });

  await check("faults: a key that has expired is not offered", async (open) => {
    await put(url, "/f/short", { value: "the value", ttl: "2" });
    const page = await open(url);
    await at(page, "/f/short");
    await page.get("button", "Edit").waitFor();
    await page.it
      .getByText(/has expired|Key not found/)
      .first()
      .waitFor();
    same(await page.get("button", /^(Edit|Delete)$/).count(), 0, "buttons for what is gone");
    same(await page.it.getByText("the value").count(), 0, "the value");
    await page.seen("Key not found");
    await until("the row is gone", async () => (await row(page, /short/).count()) === 0);
    allow(page, 404);
  });

  await check("faults: deleting a directory counts everything below it", async (open) => {
    for (const dir of ["a", "_b"]) {
      for (let number = 0; number < 5; number += 1)
        await put(url, `/f/many/${dir}/${number}`, { value: "1" });
    }
    const page = await open(url);
    await at(page, "/f/many");
    await page.press("Delete");
    await page.seen("Everything below /f/many is deleted as well: 12 nodes.");
    await page.it.keyboard.press("Escape");
  });

  await check("faults: events elsewhere are no loss", async (open) => {
    const relay = await Relay.to(url);
    try {
      const page = await open(relay.url);
      await put(url, "/f/quiet/a", { value: "1" });
      await at(page, "/f/quiet");
      await page.press("Follow");
      await page.seen("Connected: waiting for events.");
      // The history begins anew where the index jumps.
      const jump = await ask(url, "PUT", "/v2/admin/index", JSON.stringify({ atLeast: 50_000 }));
      same(jump.status, 200, "the index is set");
      // Nothing on the page tells when it has looked twice.
      await page.it.waitForTimeout(6500);
      await page.it.evaluate(() => {
        const main = document.querySelector("main");
        window.said = "";
        const note = () => {
          window.said += main.innerText;
        };
        new MutationObserver(note).observe(main, { subtree: true, childList: true });
      });
      const said = (words) => page.it.evaluate((text) => window.said.includes(text), words);
      relay.cut();
      await until("it reconnects", () => said("Reconnecting"));
      await page.seen("Connected: waiting for events.");
      await put(url, "/f/quiet/a", { value: "2" });
      await page.get("log", "Events, newest first").getByText("/f/quiet/a").waitFor();
      ensure(!(await said("events are missing")), "nothing is missing");
      forget(page);
    } finally {
      relay.close();
    }
  });

  await check(
    "faults: what others changed in the configuration is not overwritten",
    async (open) => {
      const config = { activeSize: 5, removeDelay: 1800, syncInterval: 5 };
      const set = async (changes) => {
        const answer = await ask(
          url,
          "PUT",
          "/v2/admin/config",
          JSON.stringify({ ...config, ...changes }),
        );
        same(answer.status, 200, "the configuration is set");
      };
      const kept = async () => (await ask(url, "GET", "/v2/admin/config")).json;
      await set({});
      const page = await open(url);
      await page.go("cluster");
      await page.get("spinbutton", /removeDelay/).fill("900");
      await set({ activeSize: 7 });
      await page.press("Save");
      await page.seen("Configuration saved.");
      same(await kept(), { ...config, activeSize: 7, removeDelay: 900 }, "both changes");
      await page.get("spinbutton", /removeDelay/).fill("800");
      await set({ activeSize: 7, removeDelay: 1000 });
      await page.press("Save");
      await page.seen("removeDelay is 1000 by now");
      same((await kept()).removeDelay, 1000, "what the other saved");
      await page.press("Save");
      await until("it is saved knowingly", async () => (await kept()).removeDelay === 800);
    },
  );
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
      const search = page.it.getByRole("searchbox");
      const beyond = (element) =>
        element.evaluate(
          (one) =>
            one.getBoundingClientRect().right -
            one.closest("section").getBoundingClientRect().right,
        );
      ensure((await beyond(search)) < 0, "the search is in its card");
      ensure((await beyond(page.get("button", "Follow"))) < 0, "the button is in its card");
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
    await page.press("Delete");
    await page.get("heading", "Delete /f/hostile/\\u{202e}evil?").waitFor();
    await page
      .get("dialog", /^Delete/)
      .getByRole("button", { name: "Delete", exact: true })
      .click();
    await page.seen("/f/hostile/\\u{202e}evil was deleted.");
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
    const page = await open(url);
    for (const dir of ["/_etcd", "/_etcd/mod"]) {
      await at(page, dir);
      await page.seen("The server itself keeps this");
      same(
        await page.get("button", /^(New key|New directory|Delete|Edit)$/).count(),
        0,
        `buttons on ${dir}`,
      );
    }
  });

  await check("faults: hidden nodes in live events are spoken of", async (open) => {
    const page = await open(url);
    await at(page, "/");
    await page.it.getByLabel("Hidden nodes").check();
    await page.seen(
      "Events of hidden nodes come only while a hidden directory, or one in it, is followed.",
    );
  });
}

export async function faultsChecks(check) {
  await alone([], async ({ url }) => {
    await typedTextChecks(check, url);
    await truthChecks(check, url);
    await seeingChecks(check, url);
  });
}
