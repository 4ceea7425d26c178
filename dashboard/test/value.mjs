// The pane of a key: how its value is shown, edited and saved, and what two people do to it.

import { readFileSync } from "node:fs";
import { allow, ask, ensure, picture, put, Relay, rewrite, same, until } from "./kit.mjs";

/** The browser reports every connection that breaks by itself. */
function forget(page) {
  page.it.removeAllListeners("console");
  page.problems = page.problems.filter((problem) => !problem.includes("net::ERR"));
}

function editor(page) {
  return page.it.getByRole("textbox", { name: "Value", exact: true });
}

function shown(page, key) {
  return page.it.getByRole("textbox", { name: `Value of ${key}`, exact: true });
}

/** The lines of an editor that are drawn. */
async function lines(place) {
  return (await place.locator(".cm-line").allInnerTexts()).map((line) => line.replace(/\n$/, ""));
}

async function at(page, key) {
  await page.go(`keys${key}`);
  await page.get("heading", key).waitFor();
}

async function edit(page, text) {
  await page.press("Edit");
  await editor(page).waitFor();
  if (text !== undefined) await rewrite(editor(page), text);
}

function dialog(page, title) {
  return page.get("dialog", title);
}

async function save(page, key) {
  await page.press("Review and save");
  await dialog(page, `Save ${key}?`).getByRole("button", { name: "Save", exact: true }).click();
}

async function act(page, name) {
  await page.press("Actions of this key");
  await page.it.getByRole("menuitem", { name, exact: true }).click();
}

async function formatChecks(check, url) {
  await check("value: JSON, raw, YAML, hex and base64", async (open) => {
    const json = '{"b":[1,2],"a":12345678901234567890,"a":"\\u00e9"}';
    await put(url, "/v/json", { value: json });
    await put(url, "/v/yaml", { value: "a: 1\nb:\n  - x\n" });
    const page = await open(url);
    await at(page, "/v/json");
    const place = shown(page, "/v/json");
    await place.waitFor();
    // Not read and written again, which would change the number and lose a name.
    same(
      await lines(place),
      [
        "{",
        '  "b": [',
        "    1,",
        "    2",
        "  ],",
        '  "a": 12345678901234567890,',
        '  "a": "\\u00e9"',
        "}",
      ],
      "the JSON, indented",
    );
    const choose = (name) => page.it.getByLabel("Format").selectOption(name);
    await choose("raw");
    await until("it is raw", async () => (await lines(place))[0] === json);
    await choose("hex");
    await until("it is hex", async () =>
      (await lines(place))[0].startsWith(
        '00000000  7b 22 62 22 3a 5b 31 2c  32 5d 2c 22 61 22 3a 31  {"b":[1,2],"a":1',
      ),
    );
    await choose("base64");
    const base64 = Buffer.from(json).toString("base64");
    await until("it is base64", async () => (await lines(place)).join("") === base64);
    same(await page.faults(), [], "a value");
    await put(url, "/v/base64", { value: Buffer.from("hello there").toString("base64") });
    await choose("auto");
    await at(page, "/v/base64");
    await choose("decoded");
    await until(
      "it is decoded",
      async () => (await lines(shown(page, "/v/base64")))[0] === "hello there",
    );
    await at(page, "/v/yaml");
    await choose("auto");
    await until(
      "names are coloured",
      async () => (await shown(page, "/v/yaml").locator(".cm-line span").count()) >= 2,
    );
  });

  await check(
    "value: what is no text is shown in hex, and what was damaged is not edited",
    async (open) => {
      await put(url, "/v/control", { value: "a\0b" });
      await ask(url, "PUT", "/v2/keys/v/damaged", "value=a%ffb");
      const page = await open(url);
      await at(page, "/v/control");
      await until("it is in hex", async () =>
        (await lines(shown(page, "/v/control")))[0]?.startsWith("00000000  61 00 62"),
      );
      await at(page, "/v/damaged");
      await page.seen(/were no UTF-8 when it was written/);
      same(await page.get("button", "Edit").getAttribute("aria-disabled"), "true", "Edit");
    },
  );

  await check("value: 1 MB stays quick", async (open) => {
    const value = JSON.stringify({
      list: Array.from({ length: 70_000 }, (_, at) => `value ${at}`),
    });
    ensure(value.length > 900_000, `it is large: ${value.length}`);
    await put(url, "/v/large", { value });
    const page = await open(url);
    await at(page, "/v/large");
    await until(
      "it is shown",
      async () => (await lines(shown(page, "/v/large")))[1] === '  "list": [',
    );
    ensure(
      (await shown(page, "/v/large").locator(".cm-line").count()) < 500,
      "only what is seen is drawn",
    );
    await edit(page);
    await editor(page).press("Control+End");
    await editor(page).press("Backspace");
    await editor(page).pressSequentially(',"more":1}');
    await save(page, "/v/large");
    await page.seen("/v/large was saved.");
    const after = (await ask(url, "GET", "/v2/keys/v/large")).json.node.value;
    same(after === `${value.slice(0, -1)},"more":1}`, true, "the value");
  });

  await check("value: copied, downloaded, as a curl command", async (open) => {
    await put(url, "/v/out/it's", { value: "one\ntwo" });
    const page = await open(url);
    await page.context.grantPermissions(["clipboard-read", "clipboard-write"]);
    const copied = () => page.it.evaluate(() => navigator.clipboard.readText());
    await at(page, "/v/out/it's");
    await act(page, "Copy the value");
    await until("the value is copied", async () => (await copied()) === "one\ntwo");
    await act(page, "Copy the key");
    await until("the key is copied", async () => (await copied()) === "/v/out/it's");
    await act(page, "Copy as a curl command");
    await until(
      "the command is copied",
      async () => (await copied()) === `curl '${url}/v2/keys/v/out/it'\\''s'`,
    );
    const waiting = page.it.waitForEvent("download");
    await act(page, "Download");
    const file = await waiting;
    same(file.suggestedFilename(), "it's", "the name of the file");
    same(readFileSync(await file.path(), "utf8"), "one\ntwo", "the file");
  });
}

async function editChecks(check, url) {
  const value = async (key) => (await ask(url, "GET", `/v2/keys${key}`)).json.node?.value;

  await check("value: create, edit, give a time to live, undo, delete", async (open) => {
    await put(url, "/v/made", { dir: "true" });
    const page = await open(url);
    await at(page, "/v/made");
    await page.press("New key");
    await page.it.getByLabel("Name in /v/made").fill("a/b");
    await page.it.getByRole("textbox", { name: "Value", exact: true }).fill('{"x":[1,2]}');
    await page.press("Create");
    await page.seen("/v/made/a/b was created.");
    await page.get("heading", "/v/made/a/b").waitFor();
    same(await value("/v/made/a/b"), '{"x":[1,2]}', "the value");
    await edit(page, "new");
    await page.it.getByLabel(/TTL in seconds/).fill("500");
    await page.press("Review and save");
    await dialog(page, "Save /v/made/a/b?")
      .getByText("It will expire 500 s after it is saved.")
      .waitFor();
    await dialog(page, "Save /v/made/a/b?")
      .getByText("This was valid JSON, and no longer is")
      .waitFor();
    await dialog(page, "Save /v/made/a/b?")
      .getByRole("button", { name: "Save", exact: true })
      .click();
    await page.seen("/v/made/a/b was saved.");
    same(await value("/v/made/a/b"), "new", "the value");
    const ttl = page.it.locator("dd", { hasText: "expires in" });
    const first = await ttl.innerText();
    await until("the time runs", async () => (await ttl.innerText()) !== first);
    await page.it
      .getByRole("status")
      .filter({ hasText: "was saved" })
      .getByRole("button", { name: "Undo" })
      .last()
      .click();
    await page.seen("/v/made/a/b: undone.");
    const { node } = (await ask(url, "GET", "/v2/keys/v/made/a/b")).json;
    same([node.value, node.ttl], ['{"x":[1,2]}', undefined], "what was there before");
    await act(page, "Delete");
    await dialog(page, "Delete /v/made/a/b?")
      .getByRole("button", { name: "Delete", exact: true })
      .click();
    await page.seen("/v/made/a/b was deleted.");
    same((await ask(url, "GET", "/v2/keys/v/made/a/b")).status, 404, "the key");
    await page.it
      .locator(".toast", { hasText: "was deleted" })
      .getByRole("button", { name: "Undo" })
      .click();
    await until("it is back", async () => (await value("/v/made/a/b")) === '{"x":[1,2]}');
  });

  await check("value: an undo does not touch what is newer", async (open) => {
    await put(url, "/v/newer", { value: "1" });
    const page = await open(url);
    await at(page, "/v/newer");
    await edit(page, "2");
    await save(page, "/v/newer");
    await page.seen("/v/newer was saved.");
    await put(url, "/v/newer", { value: "3" });
    await page.press("Undo");
    await page.seen(/Changed again since, and left as it is: \/v\/newer/);
    same(await value("/v/newer"), "3", "the value");
    allow(page, 412);
  });

  await check("value: what was not touched keeps its bytes", async (open) => {
    for (const [name, text, typed] of [
      ["crlf", "a\r\nb\r\n", "a\r\nbX\r\n"],
      ["mixed", "a\r\nb\nc\r\nd\r", "a\r\nbX\nc\r\nd\r"],
      ["no-end", "a\nb", "a\nbX"],
      ["ends", "a\nb\n\n", "a\nbX\n\n"],
      ["odd", "a\nb\n\u2028\u00a0\ufeff\t ", "a\nbX\n\u2028\u00a0\ufeff\t "],
    ]) {
      await put(url, `/v/bytes/${name}`, { value: text });
      const page = await open(url);
      await at(page, `/v/bytes/${name}`);
      await edit(page);
      await editor(page).press("Control+Home");
      await editor(page).press("ArrowDown");
      await editor(page).press("End");
      await editor(page).pressSequentially("X");
      await save(page, `/v/bytes/${name}`);
      await page.seen(`/v/bytes/${name} was saved.`);
      same(await value(`/v/bytes/${name}`), typed, name);
    }
  });

  await check("value: Enter in CRLF text makes CRLF", async (open) => {
    await put(url, "/v/enter", { value: "a\r\nb\r\n" });
    const page = await open(url);
    await at(page, "/v/enter");
    await edit(page);
    await editor(page).press("Control+Home");
    await editor(page).press("End");
    await editor(page).press("Enter");
    await editor(page).pressSequentially("new");
    await save(page, "/v/enter");
    await page.seen("/v/enter was saved.");
    same(await value("/v/enter"), "a\r\nnew\r\nb\r\n", "the value");
  });

  await check("value: JSON is checked on wish, a file is loaded", async (open) => {
    await put(url, "/v/check", { value: '{"a":1}' });
    const page = await open(url);
    await at(page, "/v/check");
    await edit(page, '{"a":}');
    await page.press("Check JSON");
    await page.seen(/Not valid JSON: /);
    const file = (name, bytes) =>
      page.it
        .getByLabel("Load a file")
        .setInputFiles({ name, mimeType: "text/plain", buffer: Buffer.from(bytes) });
    await file("bad.bin", [0xff, 0xfe]);
    await page.seen(/bad\.bin is not UTF-8/);
    await file("good.json", '{"b":2}\r\n');
    await page.seen("Loaded good.json.");
    await save(page, "/v/check");
    await page.seen("/v/check was saved.");
    same(await value("/v/check"), '{"b":2}\r\n', "the value");
  });

  await check("value: a TTL that is none is told of before anything is sent", async (open) => {
    await put(url, "/v/ttl", { value: "1" });
    const page = await open(url);
    await at(page, "/v/ttl");
    await edit(page, "2");
    for (const ttl of ["-5", "0", "0.5"]) {
      await page.it.getByLabel(/TTL in seconds/).fill(ttl);
      await page.press("Review and save");
      await page.seen("Enter the TTL as whole seconds, at least 1, or leave it empty.");
      same(await page.it.getByRole("dialog").count(), 0, "dialogs");
      await page.it.getByLabel(/TTL in seconds/).fill("60");
    }
    await save(page, "/v/ttl");
    await page.seen("/v/ttl was saved.");
  });
}

async function keptChecks(check, url) {
  await check("value: Escape, Back and Cancel ask before what was typed is lost", async (open) => {
    for (const name of ["x", "y"]) await put(url, `/v/leave/${name}`, { value: name });
    const page = await open(url);
    await at(page, "/v/leave/x");
    await at(page, "/v/leave/y");
    await edit(page, "a draft");
    for (const leave of [
      () => editor(page).press("Escape"),
      () => page.it.goBack(),
      () => page.press("Cancel"),
      () => page.it.getByRole("link", { name: "Locks", exact: true }).click(),
    ]) {
      await leave();
      await page.get("heading", "Discard what you typed?").waitFor();
      await page.press("Continue editing");
      same(await lines(editor(page)), ["a draft"], "what was typed");
      ensure(page.it.url().endsWith("#/keys/v/leave/y"), `the address: ${page.it.url()}`);
    }
    await page.it.goBack();
    await page.press("Discard");
    await page.get("heading", "/v/leave/x").waitFor();
    await edit(page);
    await editor(page).press("Escape");
    await editor(page).waitFor({ state: "detached" });
  });

  await check("value: a draft is there after a reload", async (open) => {
    await put(url, "/v/draft", { value: "1", ttl: "900" });
    const page = await open(url);
    page.it.on("dialog", (one) => one.accept());
    await at(page, "/v/draft");
    await edit(page, "a draft\nof two lines");
    await page.it.getByLabel(/TTL in seconds/).fill("77");
    await until("it is kept", () =>
      page.it.evaluate(() =>
        sessionStorage.getItem("stead-draft:/v/draft")?.includes('"ttl":"77"'),
      ),
    );
    await put(url, "/v/draft", { value: "theirs" });
    await page.it.reload();
    await page.seen(/Your draft of .+ is shown/);
    await page.seen("This key has changed since you began. Both are compared when you save.");
    same(await lines(editor(page)), ["a draft", "of two lines"], "the draft");
    await save(page, "/v/draft");
    await page.get("heading", "/v/draft has changed").waitFor();
    await page.press("Overwrite with mine");
    await page.seen("/v/draft was saved.");
    const { node } = (await ask(url, "GET", "/v2/keys/v/draft")).json;
    same(node.value, "a draft\nof two lines", "the value");
    ensure(node.ttl > 60 && node.ttl <= 77, "the TTL is the one of the draft");
    const left = () =>
      Object.keys(sessionStorage).filter((name) => name.startsWith("stead-draft:"));
    same(await page.it.evaluate(left), [], "drafts that are left");
    allow(page, 412);
  });

  await check(
    "value: an edit stays open where nobody answers, and says that it is saving",
    async (open) => {
      await put(url, "/v/kept", { value: "1" });
      const relay = await Relay.to(url);
      try {
        const page = await open(relay.url);
        await at(page, "/v/kept");
        await edit(page, "my text");
        await page.press("Review and save");
        const review = dialog(page, "Save /v/kept?");
        await review.waitFor();
        relay.hold();
        await review.getByRole("button", { name: "Save", exact: true }).click();
        await page.get("button", "Saving...").waitFor();
        relay.close();
        await review.getByText("This server is not responding.").waitFor();
        await relay.open();
        await review.getByRole("button", { name: "Save", exact: true }).click();
        await page.seen("/v/kept was saved.");
        forget(page);
      } finally {
        relay.close();
      }
    },
  );
}

async function twoPeopleChecks(check, url) {
  const value = async (key) => (await ask(url, "GET", `/v2/keys${key}`)).json.node?.value;

  await check("value: two people edit one key", async (open) => {
    await put(url, "/v/race", { value: "one\ntwo\nthree" });
    const [anna, bert] = [await open(url), await open(url)];
    const both = async (theirs, mine) => {
      for (const page of [anna, bert]) {
        await at(page, "/v/race");
        // An edit that began before the last change had come would be a conflict of its own.
        const now = await value("/v/race");
        await until(
          "it is shown",
          async () => (await lines(shown(page, "/v/race"))).join("\n") === now,
        );
        await edit(page, page === anna ? theirs : mine);
      }
      await save(anna, "/v/race");
      await until("Anna's is saved", async () => (await value("/v/race")) === theirs);
      await bert.seen("This key has changed since you began. Both are compared when you save.");
      await save(bert, "/v/race");
      await bert.get("heading", "/v/race has changed").waitFor();
      allow(bert, 412);
    };
    await both("one\ntheirs\nthree", "one\nmine\nthree");
    const columns = await bert.it.locator(".columns pre").allInnerTexts();
    same(
      columns.map((text) => text.trim()),
      ["one\ntwo\nthree", "one\ntheirs\nthree", "one\nmine\nthree"],
      "the columns",
    );
    same(await bert.it.locator(".line-theirs").allInnerTexts(), ["theirs\n"], "what is theirs");
    same(await bert.it.locator(".line-mine").allInnerTexts(), ["mine\n"], "what is mine");
    await bert.seen(/Compare failed/);
    same(await bert.faults(), [], "a conflict");
    await picture(bert, "conflict-light");
    await bert.press("Keep the current value");
    await until(
      "theirs is shown",
      async () => (await lines(shown(bert, "/v/race")))[1] === "theirs",
    );
    same(await value("/v/race"), "one\ntheirs\nthree", "theirs");
    await both("theirs again", "mine again");
    await bert.press("Overwrite with mine");
    await bert.seen("/v/race was saved.");
    await until("mine is there", async () => (await value("/v/race")) === "mine again");
    await both("theirs at last", "a draft");
    await bert.it.getByLabel(/TTL in seconds/, { exact: false }).waitFor();
    await dialog(bert, "/v/race has changed")
      .getByRole("button", { name: "Continue editing" })
      .click();
    same(await lines(editor(bert)), ["a draft"], "the draft");
    await bert.it.getByLabel(/TTL in seconds/).fill("9999");
    await save(bert, "/v/race");
    await until("the draft is saved", async () => (await value("/v/race")) === "a draft");
    ensure(
      (await ask(url, "GET", "/v2/keys/v/race")).json.node.ttl > 9000,
      "the TTL is the one that was typed",
    );
  });

  await check("value: gone while it was edited", async (open) => {
    await put(url, "/v/vanishes", { value: "1" });
    const page = await open(url);
    await at(page, "/v/vanishes");
    await edit(page, "2");
    await ask(url, "DELETE", "/v2/keys/v/vanishes");
    await page.it.locator(".tag", { hasText: "was deleted" }).waitFor();
    same(await lines(editor(page)), ["2"], "what was typed");
    await save(page, "/v/vanishes");
    await page.press("Create it again");
    await until("it is back", async () => (await value("/v/vanishes")) === "2");
    allow(page, 404);
  });

  await check("value: a key that has expired is not offered", async (open) => {
    await put(url, "/v/short", { value: "1", ttl: "2" });
    const page = await open(url);
    await at(page, "/v/short");
    await page.it.locator(".tag", { hasText: "has expired" }).waitFor();
    same(await page.get("button", "Edit").count(), 0, "Edit");
    same(await shown(page, "/v/short").isVisible(), false, "its value");
    await page.press("Actions of this key");
    same(
      await page.it.getByRole("menuitem", { name: /^Delete/ }).getAttribute("aria-disabled"),
      "true",
      "Delete",
    );
    await page.it.keyboard.press("Escape");
    await page.press("Create it again");
    await until("it is back", async () => (await value("/v/short")) === "1");
    allow(page, 404);
  });
}

export async function valueChecks(check, { url }) {
  await formatChecks(check, url);
  await editChecks(check, url);
  await keptChecks(check, url);
  await twoPeopleChecks(check, url);
}
