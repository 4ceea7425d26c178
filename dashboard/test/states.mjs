// The view of keys where little is there, allowed or seen: empty, slow and dead servers, users with
// few rights, phones, names with anything in them.

import { alone, ask, ensure, picture, put, Relay, same, until } from "./kit.mjs";

function row(page, name) {
  return page.it.getByRole("treeitem", { name });
}

async function at(page, key) {
  await page.go(`keys${key}`);
  await page.get("heading", key || "/").waitFor();
}

/** The browser reports errors of servers, and connections that break, by itself. */
function forget(page) {
  page.it.removeAllListeners("console");
  page.problems = page.problems.filter((one) => !/net::ERR|status of/.test(one));
}

/** Leaves, before its server does: the browser reports streams that break by itself. */
async function leave(page) {
  await page.it.goto("about:blank");
}

async function emptyChecks(check, url) {
  await check("tree: an empty store and an empty directory say what to try", (open) =>
    alone([], async (fresh) => {
      const page = await open(fresh.url);
      await page.go("keys");
      await page.seen("There are no keys yet");
      await picture(page, "empty-light");
      await page.seen(`curl -L -X PUT ${fresh.url}/v2/keys/hello -d value=world`);
      await ask(fresh.url, "PUT", "/v2/keys/bare", { dir: "true" });
      await page.get("link", "directory bare").click();
      await page.seen("This directory is empty");
      await page.seen(`curl -L -X PUT ${fresh.url}/v2/keys/bare/hello -d value=world`);
      await put(fresh.url, "/bare/hello", { value: "world" });
      await page.get("link", "hello").waitFor();
      same(await page.faults(), [], "what axe finds");
      await leave(page);
    }),
  );

  await check("tree: a slow server, which takes 3 s for each answer", async (open) => {
    for (const name of ["a", "b"]) await put(url, `/t/slow/${name}`, { value: `value of ${name}` });
    const relay = await Relay.to(url, { delay: 3000 });
    try {
      const page = await open(relay.url);
      await page.go("keys/t/slow");
      await page.it.locator(".keys .skeleton").first().waitFor();
      same(await page.faults(), [], "what axe finds while it loads");
      await page.get("link", "a").waitFor();
      const height = await page.it.locator(".keys .main").evaluate((one) => one.offsetHeight);
      await page.get("link", "b").click();
      await page.get("heading", "/t/slow/b").waitFor();
      await page.it.locator(".keys .skeleton").first().waitFor();
      await page.it.locator("#open-place").getByText("value of b").waitFor();
      same(
        await page.it.locator(".keys .main").evaluate((one) => one.offsetHeight),
        height,
        "the height",
      );
      await page.it.goBack();
      // It is there at once, and read again behind that.
      await page.it.getByRole("link", { name: "a", exact: true }).waitFor({ timeout: 1000 });
      forget(page);
    } finally {
      relay.close();
    }
  });

  await check(
    "tree: an error is where its result would be, with a way to try again",
    async (open) => {
      await put(url, "/t/down/a", { value: "1" });
      const relay = await Relay.to(url);
      try {
        const page = await open(relay.url);
        await at(page, "/t/down");
        await page.get("link", "a").waitFor();
        relay.close();
        await page.it.evaluate(() => {
          location.hash = "#/keys/t";
        });
        await page.it.locator(".main").getByText("This server is not responding.").waitFor();
        await relay.open();
        await page.it.locator(".main").getByRole("button", { name: "Try again" }).click();
        await page.get("link", "directory down").waitFor();
        forget(page);
      } finally {
        relay.close();
      }
    },
  );
}

async function rightsChecks(check) {
  await check("tree: who may not list a directory opens nodes by their names", (open) =>
    alone([], async (fresh) => {
      await put(fresh.url, "/part/a", { value: "of ann" });
      const json = (path, body, user) =>
        new Promise((resolve, reject) => {
          fetch(fresh.url + path, {
            method: "PUT",
            body: JSON.stringify(body),
            headers: user ? { Authorization: `Basic ${btoa(user)}` } : {},
          }).then(resolve, reject);
        });
      for (const [path, body] of [
        ["/v2/auth/users/root", { user: "root", password: "secret" }],
        [
          "/v2/auth/roles/part",
          { role: "part", permissions: { kv: { read: ["/part/*"], write: ["/part/*"] } } },
        ],
        ["/v2/auth/users/ann", { user: "ann", password: "secret", roles: ["part"] }],
        [
          "/v2/auth/roles/guest",
          { role: "guest", revoke: { kv: { read: ["/*"], write: ["/*"] } } },
        ],
      ])
        await json(path, body);
      same((await json("/v2/auth/enable", {})).status, 200, "users count");
      await json(
        "/v2/auth/roles/guest",
        { role: "guest", revoke: { kv: { read: ["/*"], write: ["/*"] } } },
        "root:secret",
      );
      const page = await open(fresh.url);
      await page.go("keys");
      const dialog = page.get("dialog", "Log in");
      await dialog.waitFor();
      await dialog.getByLabel("Name").fill("ann");
      await dialog.getByLabel("Password").fill("secret");
      await dialog.getByRole("button", { name: "Log in", exact: true }).click();
      await page.seen("ann has no right to read /. What is in it can be opened by its name.");
      await page.it.getByLabel("Key or directory").first().fill("part/a");
      await page.get("button", "Go").first().click();
      await page.it.locator("#open-place").getByText("of ann").waitFor();
      const tree = page.it.getByRole("treeitem");
      await tree.getByText("a", { exact: true }).waitFor();
      same(await tree.allInnerTexts(), ["/", "part", "a"], "the tree");
      await page.it.getByLabel("Key or directory").first().fill("/secret/s");
      await page.get("button", "Go").first().click();
      await page.seen("ann has no right to read /secret/s.");
      same(await row(page, "secret").count(), 0, "what is not hers");
      forget(page);
    }),
  );

  await check("tree: a read-only page changes nothing, and says why", (open) =>
    alone(["-dashboard", "read-only"], async (fresh) => {
      await put(fresh.url, "/a/b", { value: "1" });
      const page = await open(fresh.url);
      await at(page, "/a");
      await page.seen("This dashboard is read-only (-dashboard=read-only).");
      same(await page.get("button", /^New/).count(), 0, "buttons that change something");
      await page.press("More actions");
      same(await page.get("menuitem", /./).allInnerTexts(), ["Export"], "the menu");
      await page.it.keyboard.press("Escape");
      await page.get("checkbox", "Select b").check();
      same(
        await page.get("button", /^(Delete|Move|Copy)/).count(),
        0,
        "what is done with the selection",
      );
      await leave(page);
    }),
  );
}

async function sizeChecks(check, url) {
  await check("tree: on a phone a directory and a key are two pages", async (open) => {
    await put(url, "/t/phone/key", { value: "in my hand" });
    const page = await open(url, { phone: true });
    await at(page, "/t/phone");
    same(await page.get("tree", "Keys").count(), 0, "the tree");
    await page.get("link", "key").click();
    await page.get("heading", "/t/phone/key").waitFor();
    same(await page.it.locator(".listing").count(), 0, "the table");
    await page.it.locator("#open-place").getByText("in my hand").waitFor();
    same(await page.isTooWide(), false, "wider than the window");
    await page.it.goBack();
    await page.get("link", "key").waitFor();
    for (const target of await page.it
      .locator(".keys a:visible, .keys button:visible, .keys input[type=search]:visible")
      .all()) {
      const { height } = await target.boundingBox();
      ensure(height >= 43, `high enough to be touched: ${height} ${await target.innerText()}`);
    }
  });

  await check(
    "tree: nothing in a name or value breaks the view, wide or narrow, light or dark",
    async (open) => {
      const names = [
        "\u202eevil",
        "   ",
        "a\nb",
        "x".repeat(1000),
        "%2F",
        "?#&\"'<b>",
        "\u4f60\u597d",
      ];
      for (const name of names) {
        const value = `${name.length > 9 ? "" : "\u202e"}<img>\n${"y".repeat(3000)}`;
        await put(url, `/t/odd/${encodeURIComponent(name)}`, { value });
      }
      await put(url, `/t/odd/${Array.from({ length: 25 }, (_, n) => `level${n}`).join("/")}/k`, {
        value: "1",
      });
      for (const options of [{}, { dark: true }, { phone: true }, { phone: true, dark: true }]) {
        const page = await open(url, options);
        const deep = `/t/odd/${Array.from({ length: 25 }, (_, n) => `level${n}`).join("/")}`;
        for (const place of [
          "/t/odd",
          `/t/odd/${"x".repeat(1000)}`,
          deep,
          "/t/odd?search=evil",
          "/t/odd?filter=zzz",
        ]) {
          await page.go(`keys${place}`);
          await until(
            "it is read",
            async () => (await page.it.locator(".keys .skeleton").count()) === 0,
          );
          same(await page.isTooWide(), false, `wider than the window at ${place.slice(0, 30)}`);
          ensure(
            !(await page.it.locator("body").innerText()).includes("\u202e"),
            "nothing turns the text around",
          );
          same(await page.faults(), [], `what axe finds at ${place.slice(0, 30)}`);
        }
        await page.go("keys/t/odd");
        for (const name of names) {
          const link = page.it.locator(
            `.listing a[href="#/keys/t/odd/${encodeURIComponent(name).replaceAll("'", "\\'")}"]`,
          );
          same(await link.count(), 1, `a link to ${JSON.stringify(name).slice(0, 20)}`);
        }
      }
    },
  );
}

export async function stateChecks(check) {
  await alone([], async ({ url }) => {
    await emptyChecks(check, url);
    await rightsChecks(check);
    await sizeChecks(check, url);
  });
}
