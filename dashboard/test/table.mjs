// The table of a directory, and what is done with many nodes at once.

import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { allow, alone, ask, ensure, put, same, until } from "./kit.mjs";

async function at(page, key) {
  await page.go(`keys${key}`);
  await page.get("heading", key.replace(/\?.*/, "")).waitFor();
}

/** What is in the menu of the open directory. */
async function action(page, name) {
  await page.press("More actions");
  await page.get("menuitem", name).click();
}

async function select(page, ...names) {
  for (const name of names) await page.get("checkbox", `Select ${name}`).check();
}

function names(page) {
  return page.it.locator(".listing td.name a .cut").allInnerTexts();
}

/** Runs with a directory that is there as long as that lasts. */
async function inDir(run) {
  const dir = mkdtempSync(path.join(process.env.TMPDIR ?? tmpdir(), "stead-table-"));
  try {
    await run(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** What a program prints, and its exit code. */
function printed(program, args) {
  return new Promise((resolve) => {
    execFile(program, args, { timeout: 20_000 }, (error, stdout, stderr) => {
      resolve({ code: error?.code ?? 0, text: stdout + stderr });
    });
  });
}

async function sortChecks(check, url) {
  await check("table: sorted and filtered by the server, with an address", async (open) => {
    await put(url, "/s/sort/a", { value: "long".repeat(100), ttl: "5000" });
    await put(url, "/s/sort/b", { value: "1", ttl: "500" });
    await put(url, "/s/sort/c", { value: "22" });
    await put(url, "/s/sort/a", { value: "long".repeat(100), ttl: "5000" });
    const page = await open(url);
    await at(page, "/s/sort");
    await page.get("link", "c").waitFor();
    const by = async (head, want) => {
      await page.press(head);
      await until(
        `sorted by ${head}`,
        async () => JSON.stringify(await names(page)) === JSON.stringify(want),
      );
    };
    await by(/^Size/, ["b", "c", "a"]);
    await by(/^Size/, ["a", "c", "b"]);
    same(
      await page.get("columnheader", /^Size/).getAttribute("aria-sort"),
      "descending",
      "said of the head",
    );
    ensure(page.it.url().endsWith("#/keys/s/sort?order=-size"), `an address: ${page.it.url()}`);
    await by(/^Index/, ["b", "c", "a"]);
    await by(/^Expires in/, ["b", "a", "c"]);
    await put(url, "/s/sort/d", { value: "1", ttl: "50" });
    await until(
      "what is new is in its place",
      async () => JSON.stringify(await names(page)) === '["d","b","a","c"]',
    );
    await page.get("searchbox", "Filter the table").fill("[ab]");
    await page.seen("No name matches the filter");
    await page.get("searchbox", "Filter the table").fill("A");
    await page.seen("4 keys and directories below, 4 here, 1 match");
    same(await names(page), ["a"], "what matches");
    await page.it.reload();
    await page.seen("4 keys and directories below, 4 here, 1 match");
    same(await page.get("searchbox", "Filter the table").inputValue(), "A", "the filter");
  });

  await check("table: sizes, times to live, indexes and times", async (open) => {
    const { node } = await put(url, "/s/facts/k", { value: "\u00e4".repeat(600), ttl: "7200" });
    const page = await open(url);
    await at(page, "/s/facts");
    const line = page.it.locator("tbody tr", { has: page.get("link", "k") });
    await line.getByText("1.2 kB").waitFor();
    await line.getByText(/^1 h 59 min$|^2 h$/).waitFor();
    await line.getByText(node.modifiedIndex.toLocaleString("en"), { exact: true }).waitFor();
    await line.locator("td.seen time").waitFor();
  });
}

async function manyChecks(check, url) {
  const value = async (key) => (await ask(url, "GET", `/v2/keys${key}`)).json.node?.value;

  await check("table: many are selected and deleted, after all below was counted", async (open) => {
    for (let n = 0; n < 8; n += 1) await put(url, `/s/many/k${n}`, { value: "1" });
    for (let n = 0; n < 5; n += 1) await put(url, `/s/many/dir/_h/${n}`, { value: "1" });
    const page = await open(url);
    await at(page, "/s/many");
    await page.get("checkbox", "Select k1").click();
    await page.get("checkbox", "Select k4").click({ modifiers: ["Shift"] });
    await page.seen("4 selected");
    same(await page.faults(), [], "what axe finds");
    await page.press("Delete");
    await page.get("heading", "Delete 4 keys in /s/many?").waitFor();
    await page
      .get("dialog", /^Delete/)
      .getByRole("button", { name: "Delete", exact: true })
      .click();
    await page.seen("4 of 4 were deleted.");
    await until("they are gone", async () => (await names(page)).length === 5);
    await select(page, "dir", "k0");
    await page.press("Delete");
    await page.seen("Everything below is deleted as well: 8 nodes in all.");
    const button = page.get("button", "Delete everything");
    ensure(await button.isDisabled(), "the number is wanted first");
    await page.it.getByLabel("Type 8 to confirm").fill("8");
    await button.click();
    await page.seen("2 of 2 were deleted.");
    same((await ask(url, "GET", "/v2/keys/s/many/dir")).status, 404, "the directory");
    await page.it
      .locator(".toast", { hasText: "2 of 2" })
      .getByRole("button", { name: "Undo" })
      .click();
    await page.seen("8 changes undone.");
    for (const key of ["dir/_h/4", "k0"]) {
      same((await ask(url, "GET", `/v2/keys/s/many/${key}`)).json.node.value, "1", key);
    }
  });

  await check("table: all that match are selected, more than are in sight", async (open) => {
    const all = Array.from({ length: 450 }, (_, n) => n);
    await Promise.all(
      Array.from({ length: 16 }, async () => {
        for (let n = all.pop(); n !== undefined; n = all.pop())
          await put(url, `/s/all/${n % 3 ? "x" : "y"}${n}`, { value: "1" });
      }),
    );
    const page = await open(url);
    await at(page, "/s/all?filter=x");
    await page.seen("450 keys and directories below, 450 here, 300 match");
    await page.get("checkbox", "Select all that match").check();
    await page.seen("300 selected");
    await page.get("checkbox", "Select x1").uncheck();
    await page.seen("299 selected");
    await page.press("Delete");
    await page.get("heading", "Delete 299 keys in /s/all?").waitFor();
    await page
      .get("dialog", /^Delete/)
      .getByRole("button", { name: "Delete", exact: true })
      .click();
    await page.seen("299 of 299 were deleted.");
    const { nodes } = (await ask(url, "GET", "/v2/keys/s/all")).json.node;
    same(nodes.length, 151, "what stays");
    ensure(
      nodes.some(({ key }) => key === "/s/all/x1"),
      "what was left out",
    );
  });

  await check("table: a key that changes in the meantime is left", async (open) => {
    for (const name of ["a", "b"]) await put(url, `/s/meantime/${name}`, { value: "1" });
    const page = await open(url);
    await at(page, "/s/meantime");
    await select(page, "a", "b");
    await page.press("Delete");
    await page.get("heading", "Delete 2 keys in /s/meantime?").waitFor();
    await put(url, "/s/meantime/a", { value: "theirs" });
    await page
      .get("dialog", /^Delete/)
      .getByRole("button", { name: "Delete", exact: true })
      .click();
    await page.seen("1 of 2 were deleted, 1 had changed and were left.");
    same(await value("/s/meantime/a"), "theirs", "what changed");
    allow(page, 412);
  });

  await check(
    "table: a directory is renamed, with what is hidden and what expires",
    async (open) => {
      await put(url, "/s/ren/old/a", { value: "1", ttl: "5000" });
      await put(url, "/s/ren/old/_b/c", { value: "2" });
      await ask(url, "PUT", "/v2/keys/s/ren/old/bare", { dir: "true" });
      const page = await open(url);
      await at(page, "/s/ren/old");
      await action(page, "Move or rename");
      const field = page.it.getByLabel("New path");
      same(await field.inputValue(), "/s/ren/old", "what it is now");
      for (const [wrong, said] of [
        ["/s/ren/old", "already"],
        ["/s/ren/old/x", "is inside"],
        ["s", "begins with /"],
        ["/a//b", "not empty"],
      ]) {
        await field.fill(wrong);
        await page.press("Move");
        await page.get("dialog", /^Move/).getByRole("alert").getByText(said).waitFor();
      }
      await field.fill("/s/ren/new");
      await page.press("Move");
      await page.get("heading", "/s/ren/new").waitFor();
      await page.seen("5 nodes copied, 5 taken away where they were.");
      same((await ask(url, "GET", "/v2/keys/s/ren/old")).status, 404, "where it was");
      const { node } = (await ask(url, "GET", "/v2/keys/s/ren/new/a")).json;
      ensure(node.value === "1" && node.ttl > 4900, `value and TTL: ${JSON.stringify(node)}`);
      same(await value("/s/ren/new/_b/c"), "2", "what is hidden");
      same(
        (await ask(url, "GET", "/v2/keys/s/ren/new/bare")).json.node.dir,
        true,
        "an empty directory",
      );
    },
  );

  await check(
    "table: a move overwrites nothing, and says what was done when it ends",
    async (open) => {
      for (const name of ["a", "b", "c"]) await put(url, `/s/mv/from/${name}`, { value: name });
      await put(url, "/s/mv/to/b", { value: "theirs" });
      const page = await open(url);
      await at(page, "/s/mv/from");
      await select(page, "a", "b", "c");
      await page.press("Move");
      await page.it.getByLabel("Into the directory").fill("/s/mv/to");
      await page.get("dialog", /^Move/).getByRole("button", { name: "Move", exact: true }).click();
      await page.seen(
        /already exists.*ended at \/s\/mv\/from\/b\. By then: 1 node copied, 1 taken away where/,
      );
      await page.get("dialog", "Moving").getByRole("button", { name: "Close" }).click();
      same(
        [
          await value("/s/mv/to/a"),
          await value("/s/mv/to/b"),
          await value("/s/mv/from/b"),
          await value("/s/mv/from/c"),
        ],
        ["a", "theirs", "b", "c"],
        "what is where",
      );
      allow(page, 412);
    },
  );

  await check("table: what is selected is copied to another directory", async (open) => {
    await put(url, "/s/cp/from/dir/x", { value: "1" });
    await put(url, "/s/cp/from/k", { value: "2" });
    const page = await open(url);
    await at(page, "/s/cp/from");
    await page.get("checkbox", "Select all").check();
    await page.seen("2 selected");
    await page.press("Copy");
    await page.it.getByLabel("Into the directory").fill("/s/cp/to");
    await page.get("dialog", /^Copy/).getByRole("button", { name: "Copy", exact: true }).click();
    await page.get("heading", "/s/cp/to").waitFor();
    await page.seen("3 nodes copied.");
    same(
      [await value("/s/cp/to/dir/x"), await value("/s/cp/from/dir/x"), await value("/s/cp/to/k")],
      ["1", "1", "2"],
      "values",
    );
  });
}

async function fileChecks(check, url) {
  const value = async (key) => (await ask(url, "GET", `/v2/keys${key}`)).json.node?.value;
  const exported = async (page, start) => {
    const [file] = await Promise.all([page.it.waitForEvent("download"), start()]);
    return { name: file.suggestedFilename(), text: readFileSync(await file.path(), "utf8") };
  };

  await check("table: an export is read by the import of the command line", (open) =>
    inDir(async (dir) => {
      await put(url, "/s/out/part/a", { value: 'line\nline \u00e4 "q"' });
      await put(url, "/s/out/part/ttl", { value: "x", ttl: "5000" });
      await put(url, "/s/out/part/deep/er", { value: "" });
      await put(url, "/s/out/part/_hidden", { value: "h" });
      const page = await open(url);
      await at(page, "/s/out/part");
      const { name, text } = await exported(page, () => action(page, "Export"));
      same(name, "part.jsonl", "the name of the file");
      const lines = text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line));
      same(
        lines.map(({ key }) => key),
        [
          "/s",
          "/s/out",
          "/s/out/part",
          "/s/out/part/a",
          "/s/out/part/deep",
          "/s/out/part/deep/er",
          "/s/out/part/ttl",
        ],
        "keys",
      );
      same(
        [lines[0].dir, lines[3].value, lines[5].value],
        [true, 'line\nline \u00e4 "q"', ""],
        "content",
      );
      ensure(lines[6].ttl > 4900 && lines[6].expiration, "the time to live");
      await page.seen("Exported 7 nodes. Hidden nodes are not in it.");
      const file = path.join(dir, name);
      writeFileSync(file, text);
      const into = path.join(dir, "data");
      const read = await printed(process.env.STEAD, [
        "import",
        "--from-snapshot",
        file,
        "--data-dir",
        into,
        "--name",
        "m1",
        "--dry-run",
      ]);
      same(read.code, 0, `the import: ${read.text}`);
    }),
  );

  await check("table: a file is imported, after it was counted", (open) =>
    inDir(async (dir) => {
      await put(url, "/s/in/there", { value: "theirs" });
      const file = path.join(dir, "some.jsonl");
      const lines = [
        { key: "/d", dir: true },
        { key: "/d/a", value: "1\r\n" },
        { key: "/there", value: "mine", ttl: 500 },
        { key: "/late", value: "x", expiration: "2001-01-01T00:00:00Z" },
        { key: "/z", value: "2", ttl: 500 },
      ];
      writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join("\n"));
      const page = await open(url);
      await at(page, "/s/in");
      const begin = async () => {
        await action(page, "Import");
        await page.it.getByLabel("File with a line").setInputFiles(file);
        await page.it.getByLabel("Into the directory").fill("/s/in");
        await page.it.getByLabel("Into the directory").blur();
      };
      await begin();
      await page.seen(
        "In the file: 3 keys, 1 directory, 1 that have expired, which are left out. " +
          "1 of the keys are there already.",
      );
      same(await page.faults(), [], "what axe finds");
      same(await value("/s/in/z"), undefined, "nothing is made yet");
      await page.it.getByLabel("Stop at the first").check();
      await page.press("Import");
      await page.seen(
        /Line \d+, \/s\/in\/there: Key already exists.* By then: 2 nodes made, 0 left/,
      );
      await page.press("Close");
      await begin();
      await page.seen(/2 of the keys are there already/);
      await page.press("Import");
      await page.seen("Imported: 1 node made, 3 left as they were.");
      same(
        [await value("/s/in/there"), await value("/s/in/d/a"), await value("/s/in/z")],
        ["theirs", "1\r\n", "2"],
        "values",
      );
      await begin();
      await page.it.getByLabel("Overwrite those").check();
      await page.press("Import");
      await page.seen("Imported: 3 nodes written, 1 left as they were.");
      same(await value("/s/in/there"), "mine", "what was overwritten");
      allow(page, 412, 403);
    }),
  );

  await check("table: a file that is none is told of, and nothing is imported", (open) =>
    inDir(async (dir) => {
      const page = await open(url);
      await page.go("keys");
      await page.press("More actions");
      await page.get("menuitem", "Import").click();
      await page.press("Import");
      await page.seen("Choose a file.");
      for (const [at, [text, said]] of [
        ['{"key":"/a","value":"1"}\nnone\n', "Line 2: it is not JSON."],
        ['{"key":"a","value":"1"}', "Line 1: its key is none that a node can have."],
        ['{"key":"/a"}', "Line 1: it has neither a value"],
        [Buffer.from([0xff, 0xfe, 0]), "The file is not UTF-8 text."],
      ].entries()) {
        const file = path.join(dir, `none${at}.jsonl`);
        writeFileSync(file, text);
        await page.it.getByLabel("File with a line").setInputFiles(file);
        await page.get("dialog", "Import").getByText(said).waitFor();
        await page.press("Import");
        await page.seen("Nothing of this file is imported.");
      }
      same((await ask(url, "GET", "/v2/keys/a")).status, 404, "what the file said");
    }),
  );

  await check("table: a long import is stopped, and says what was done", (open) =>
    inDir(async (dir) => {
      const file = path.join(dir, "long.jsonl");
      writeFileSync(
        file,
        Array.from({ length: 20_000 }, (_, n) => `{"key":"/s/long/k${n}","value":"1"}\n`).join(""),
      );
      const page = await open(url);
      await page.go("keys");
      await action(page, "Import");
      await page.it.getByLabel("File with a line").setInputFiles(file);
      await page.seen("In the file: 20,000 keys, 0 directories. 0 of the keys are there already.");
      await page.press("Import");
      await page.seen(/^\d+ nodes made/);
      await page.press("Stop");
      await page.seen(/Stopped\. By then: [\d,]+ nodes? made/);
      await page.press("Close");
      allow(page, 404);
      const made = (await ask(url, "GET", "/v2/keys/s/long")).json.node.nodes.length;
      ensure(made > 0 && made < 20_000, `a part was made: ${made}`);
    }),
  );
}

export async function tableChecks(check) {
  await alone([], async ({ url }) => {
    await sortChecks(check, url);
    await manyChecks(check, url);
    await fileChecks(check, url);
  });
}
