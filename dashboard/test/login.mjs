// Users and passwords: who is asked, what is sent, and what is said of refusals.

import { alone, ask, ensure, put, same, sleep, until } from "./kit.mjs";

export const ROOT = "root:a root's word";
const ANN = "ann:p\u00e4ss:w\u00f6rd \u{1f511}";

/** Everything that a browser says by itself about answers above 399. */
export function expectRefusals(page) {
  // It may still be saying it: this ends a check.
  page.it.removeAllListeners("console");
  page.problems = page.problems.filter((problem) => !/status of (400|401|404|503)/.test(problem));
}

async function asRoot(url, method, where, json) {
  const answer = await ask(url, method, where, json && JSON.stringify(json), ROOT);
  ensure(answer.status < 300, `${method} ${where}: ${answer.text}`);
}

function setPassword(url, user) {
  const [name, ...password] = user.split(":");
  return asRoot(url, "PUT", `/v2/auth/users/${name}`, { user: name, password: password.join(":") });
}

/** Lets a role, and so its users, read and write below /part; /secret is for root. */
export async function prepare(url) {
  await put(url, "/part/a", { value: "of ann" });
  await put(url, "/secret/s", { value: "of root" });
  const kv = { read: ["/part*"], write: ["/part*"] };
  await setPassword(url, ROOT);
  await asRoot(url, "PUT", "/v2/auth/roles/part", { role: "part", permissions: { kv } });
  const password = ANN.slice(ANN.indexOf(":") + 1);
  await asRoot(url, "PUT", "/v2/auth/users/ann", { user: "ann", password, roles: ["part"] });
  await asRoot(url, "PUT", "/v2/auth/enable");
}

export function form(page) {
  return page.get("dialog", "Log in");
}

async function saysWhy(page, reason) {
  await form(page).getByText(reason).waitFor();
}

/** Where the value of a key is edited. */
function valueOf(page) {
  return page.it.getByRole("textbox", { name: "Value", exact: true });
}

/** Until the value of the key that is open has this in it. */
export function shows(page, text) {
  return page.it
    .getByRole("textbox", { name: /^Value of/ })
    .getByText(text)
    .waitFor();
}

/** Sends what is typed into the value, after a look at what it changes. */
async function save(page) {
  await page.press("Review and save");
  await page.press("Save");
}

/** Opens the events below a directory, and waits until they are followed. */
async function follow(page, dir) {
  await page.go(`events${dir}`);
  await page.it.getByText("live", { exact: true }).waitFor();
}

async function fillIn(page, user) {
  const [name, ...password] = user.split(":");
  await form(page).getByLabel("Name").fill(name);
  await form(page).getByLabel("Password").fill(password.join(":"));
  await form(page).getByRole("button", { name: "Log in" }).click();
}

/** The form opens by itself in every view that shows what is not open to all. */
export async function logIn(page, user) {
  if (page.it.url().endsWith("#/cluster")) await page.press("Log in");
  await fillIn(page, user);
  await page.get("button", "Log out").waitFor();
  await form(page).waitFor({ state: "detached" });
}

async function goOn(page) {
  await form(page).waitFor();
  await page.press("Continue without logging in");
  await form(page).waitFor({ state: "detached" });
}

/** Notes the requests of a page from now on, but for those that look whether all is well. */
export function requestsOf(page) {
  const seen = [];
  const isOfHealth = (request) =>
    /\/(v2\/stats\/cluster|readyz\?verbose)$/.test(request.url()) &&
    !page.it.url().endsWith("/cluster");
  page.it.on("request", (request) => {
    if (!isOfHealth(request)) seen.push(request);
  });
  return seen;
}

const isApi = (request) => /\/(v2|metrics)/.test(new URL(request.url()).pathname);

async function enteringChecks(check, { url }) {
  await check("login: asked for, a wrong password, a right one, by the keyboard", async (open) => {
    const page = await open(url);
    const seen = requestsOf(page);
    await page.go("keys/part/a");
    await form(page).waitFor();
    await page.seen("Not logged in: no right to read");
    same(await page.faults(), [], "the form");
    const keyboard = page.it.keyboard;
    const focused = () => page.it.evaluate(() => document.activeElement.autocomplete);
    same(await focused(), "username", "the focus");
    await keyboard.insertText("ann");
    await keyboard.press("Tab");
    same(await focused(), "current-password", "the focus");
    await keyboard.insertText("guessed");
    await keyboard.press("Enter");
    const alert = form(page).getByRole("alert");
    await until("it is told", async () => (await alert.innerText()) === "Wrong name or password.");
    same(await form(page).getByLabel("Name").inputValue(), "ann", "the name");
    same(await form(page).getByLabel("Password").inputValue(), "", "the password");
    same(await focused(), "current-password", "the focus");
    same(await page.faults(), [], "the form with an error");
    const password = ANN.slice(4);
    await keyboard.insertText(password);
    const before = seen.length;
    await keyboard.press("Enter");
    await page.seen("Logged in as ann.");
    await shows(page, "of ann");
    same(await page.faults(), [], "the page");
    await follow(page, "/part");
    const proof = `Basic ${Buffer.from(ANN).toString("base64")}`;
    const sent = seen
      .slice(before)
      .filter((one) => isApi(one) && !/\/v2\/(auth|stats)\//.test(one.url()));
    ensure(
      sent.some((one) => one.url().includes("stream=true")),
      "events are followed",
    );
    for (const one of sent) same(one.headers().authorization, proof, one.url());
    const kept = await page.it.evaluate(() =>
      [
        document.documentElement.outerHTML,
        location.href,
        JSON.stringify(localStorage),
        JSON.stringify(sessionStorage),
        document.cookie,
      ].join(" "),
    );
    for (const word of [password, proof, proof.slice(6)]) {
      ensure(!kept.includes(word), "the password is only in the memory of the page");
      ensure(
        seen.every((one) => !decodeURIComponent(one.url()).includes(word)),
        "nor in a URL",
      );
    }
    await page.it.reload();
    await form(page).waitFor();
    expectRefusals(page);
  });

  await check("login: an address with a name and a password in it", async (open) => {
    const page = await open(url);
    await page.it.goto(`${url.replace("//", "//ann:wrong@")}/mod/dashboard/#/keys/part`);
    await logIn(page, ANN);
    await page.get("heading", "/part").waitFor();
    expectRefusals(page);
    page.problems = page.problems.filter((problem) => !problem.includes("//ann:wrong@"));
  });

  await check("login: log out, and what was shown is gone", async (open) => {
    const page = await open(url);
    await page.go("keys/secret/s");
    await logIn(page, ROOT);
    await shows(page, "of root");
    await page.press("Log out");
    await page.seen("Logged out.");
    await page.seen("Not logged in: no right to read /secret/s.");
    ensure(!(await page.it.content()).includes("of root"), "the value is gone");
    same(await form(page).count(), 0, "forms after logging out");
    same(await page.it.evaluate(() => document.activeElement.textContent), "Log in", "the focus");
    const seen = requestsOf(page);
    await page.go("cluster");
    await page.get("spinbutton", /activeSize/).waitFor();
    for (const one of seen) same(one.headers().authorization, undefined, one.url());
    expectRefusals(page);
  });

  await check("login: too many passwords at once is no wrong password", async (open) => {
    const page = await open(url);
    await page.go("cluster");
    await page.press("Log in");
    let isOn = true;
    const flood = Array.from({ length: 24 }, async (_, lane) => {
      for (let number = 0; isOn; number += 1) {
        await ask(url, "GET", "/v2/keys/part", undefined, `bob:${lane} ${number}`);
        // Those that are refused at once must not keep the browser from its turn.
        await sleep(20);
      }
    });
    try {
      await until("it is told", async () => {
        await fillIn(page, "bob:guess");
        const alert = form(page).getByRole("alert");
        await until("there is an answer", async () => (await alert.innerText()) !== "");
        return (await alert.innerText()).includes("too many passwords are being checked");
      });
    } finally {
      isOn = false;
      await Promise.all(flood);
    }
    await page.seen("The password was not checked.");
    await fillIn(page, "a:b:c");
    await form(page).getByText("Wrong name or password.").waitFor();
    await form(page).getByLabel("Name").fill("a:b");
    await form(page).getByLabel("Password").fill("c");
    await form(page).getByRole("button", { name: "Log in" }).click();
    await page.seen("A name with a colon cannot log in.");
    await page.it.keyboard.press("Escape");
    await form(page).waitFor({ state: "detached" });
    expectRefusals(page);
  });
}

async function rightsChecks(check, { url }) {
  await check("login: a user with rights to a part of the tree", async (open) => {
    const page = await open(url);
    await page.go("keys");
    await logIn(page, ANN);
    await page.seen("ann has no right to read /. What is in it can be opened by its name.");
    await page.it.getByLabel("Key or directory").first().fill("part/a");
    await page.get("button", "Go").first().click();
    await shows(page, "of ann");
    const names = async () =>
      (await page.it.getByRole("treeitem").allInnerTexts()).map((row) => row.trim());
    await until(
      "the tree",
      async () => JSON.stringify(await names()) === JSON.stringify(["/", "part", "a"]),
    );
    await page.press("Edit");
    await valueOf(page).fill("by ann");
    await save(page);
    await page.seen("/part/a was saved.");
    await shows(page, "by ann");
    await page.it.getByLabel("Key or directory").first().fill("/secret/s");
    await page.get("button", "Go").first().click();
    await page.seen("ann has no right to read /secret/s.");
    same(await page.it.getByRole("treeitem", { name: /secret/ }).count(), 0, "what is not hers");
    await page.it.getByRole("treeitem", { name: /part/ }).waitFor();
    await page.go("locks");
    await page.seen("ann has no right to read /_etcd/mod/lock and everything below it.");
    // With another view the page looks once whether users still count.
    await page.it.waitForTimeout(1000);
    const seen = requestsOf(page);
    await page.it.waitForTimeout(2500);
    same(
      seen.map((one) => one.url()),
      [],
      "requests after a refusal",
    );
    await page.go("keys/part");
    await page.get("heading", "/part").waitFor();
    same(
      await page.it.locator(".banner, [role=alert] .wrong").count(),
      0,
      "the refusal was of another view",
    );
    same(await form(page).count(), 0, "forms where a right is missing");
    same(await page.faults(), [], "the page");
    expectRefusals(page);
  });

  await check("login: a right to the locks is enough for theirs", async (open) => {
    const kv = { read: ["/_etcd/mod/lock*"] };
    await asRoot(url, "PUT", "/v2/auth/roles/locks", { role: "locks", permissions: { kv } });
    const cat = { user: "cat", password: "c", roles: ["locks"] };
    await asRoot(url, "PUT", "/v2/auth/users/cat", cat);
    const page = await open(url);
    await page.go("locks");
    await logIn(page, "cat:c");
    await page.seen("No locks yet.");
    const lock = "/mod/v2/lock/deploy?ttl=600";
    const held = await ask(url, "POST", lock, { value: "alice" }, ROOT);
    await page.seen("deploy: held by alice, 0 waiting");
    await ask(url, "DELETE", `${lock}&index=${held.text.trim()}`, undefined, ROOT);
    await page.it.getByText("1 free lock").click();
    await page.seen("deploy: free");
    expectRefusals(page);
  });

  await check("login: a guest with rights goes on without", async (open) => {
    const grant = { kv: { read: ["/part*"] } };
    await asRoot(url, "PUT", "/v2/auth/roles/guest", { role: "guest", grant });
    const page = await open(url);
    await page.go("keys/part/a");
    await goOn(page);
    await page.it.getByRole("textbox", { name: /^Value of/ }).waitFor();
    ensure(await page.get("button", "Edit").isDisabled(), "what a guest may not do is not offered");
    same(
      await page.get("button", "Edit").getAttribute("title"),
      "A guest has no right to change /part/a.",
      "why",
    );
    await follow(page, "/part");
    // A right that goes while a guest edits.
    const writing = { kv: { write: ["/part*"] } };
    await asRoot(url, "PUT", "/v2/auth/roles/guest", { role: "guest", grant: writing });
    await page.go("keys/part/a");
    await until("it is offered", async () => !(await page.get("button", "Edit").isDisabled()));
    await page.press("Edit");
    await valueOf(page).fill("a draft");
    await asRoot(url, "PUT", "/v2/auth/roles/guest", { role: "guest", revoke: writing });
    await save(page);
    await page.seen("Not logged in: no right to change /part/a.");
    await page.get("dialog").getByRole("button", { name: "Continue editing" }).click();
    same(await valueOf(page).innerText(), "a draft", "the draft");
    await page.press("Cancel");
    await page.press("Discard");
    await page.it.getByRole("treeitem", { name: /part/ }).waitFor();
    same(await form(page).count(), 0, "forms for one who has gone on");
    await asRoot(url, "DELETE", "/v2/auth/roles/guest");
    expectRefusals(page);
  });

  await check("login: root changes the configuration", async (open) => {
    const page = await open(url);
    await page.go("cluster");
    same(await form(page).count(), 0, "forms where all is open");
    await page.get("spinbutton", /activeSize/).fill("7");
    await page.press("Save");
    await saysWhy(page, "Not logged in: no right to do this: it takes the role root.");
    await fillIn(page, ANN);
    await page.seen("Logged in as ann.");
    await page.seen("ann has no right to do this: it takes the role root.");
    ensure(await page.get("button", "Save").isDisabled(), "what ann may not do is not offered");
    await page.press("Log out");
    await logIn(page, ROOT);
    same(await page.get("spinbutton", /activeSize/).inputValue(), "7", "what was typed");
    await page.press("Save");
    await page.seen("Configuration saved.");
    same((await ask(url, "GET", "/v2/admin/config")).json.activeSize, 7, "the configuration");
    expectRefusals(page);
  });
}

async function endingChecks(check, { url }) {
  await check("login: the password changes in the middle", async (open) => {
    const page = await open(url);
    await page.go("keys/part/a");
    await logIn(page, ANN);
    await page.press("Edit");
    await valueOf(page).fill("a long draft");
    await setPassword(url, "ann:changed");
    const seen = requestsOf(page);
    await save(page);
    await saysWhy(page, "The server no longer accepts the name and password of ann.");
    same(await form(page).getByLabel("Name").inputValue(), "ann", "the name");
    same(await page.it.evaluate(() => document.activeElement.type), "password", "the focus");
    // What is shown is read once more, as a guest.
    await page.it.waitForTimeout(1000);
    const before = seen.length;
    await page.it.waitForTimeout(2000);
    same(
      seen.slice(before).map((one) => one.url()),
      [],
      "it does not go round",
    );
    ensure(before < 15, `it does not go round: ${seen.map((one) => one.url())}`);
    await fillIn(page, "ann:changed");
    await form(page).waitFor({ state: "detached" });
    same(await valueOf(page).innerText(), "a long draft", "the draft");
    await page.press("Save");
    await page.seen("/part/a was saved.");
    await setPassword(url, ANN);
    await shows(page, "a long draft");
    expectRefusals(page);
  });

  await check("login: a user is deleted in the middle, the tree and events too", async (open) => {
    await asRoot(url, "PUT", "/v2/auth/users/bob", { user: "bob", password: "b", roles: ["root"] });
    const page = await open(url);
    await page.go("locks");
    await logIn(page, "bob:b");
    await page.it.locator("#view .lock, #view .free, #view .empty").first().waitFor();
    await follow(page, "/part");
    await page.go("keys/part");
    await page.get("heading", "/part").waitFor();
    await asRoot(url, "DELETE", "/v2/auth/users/bob");
    await page.go("keys/part/a");
    await saysWhy(page, "The server no longer accepts the name and password of bob.");
    await page.press("Continue without logging in");
    await page.seen("Not logged in: no right to read /part/a.");
    ensure(!(await page.it.locator("#view").innerText()).includes("secret"), "the tree is gone");
    // Whoever has left the form is asked about once.
    await page.it.waitForTimeout(1000);
    const seen = requestsOf(page);
    await page.it.waitForTimeout(2500);
    same(
      seen.map((one) => one.url()),
      [],
      "requests of one who may do nothing",
    );
    same(await form(page).count(), 0, "more forms");
    expectRefusals(page);
  });

  await check("login: events that are refused are not asked for again", async (open) => {
    const page = await open(url);
    await page.go("keys/part");
    await logIn(page, ANN);
    await page.get("heading", "/part").waitFor();
    // As a stream that breaks when the rights have gone.
    await asRoot(url, "PUT", "/v2/auth/users/ann", { user: "ann", revoke: ["part"] });
    await page.go("events/part");
    await page.seen("ann has no right to read /part and everything below it.");
    await page.it.getByText("refused", { exact: true }).waitFor();
    // The page's own stream, which the server has ended, is tried once more.
    await page.it.waitForTimeout(2000);
    const seen = requestsOf(page);
    await page.it.waitForTimeout(2500);
    same(
      seen.map((one) => one.url()),
      [],
      "requests after a refusal",
    );
    await asRoot(url, "PUT", "/v2/auth/users/ann", { user: "ann", grant: ["part"] });
    await page.press("Try again");
    await page.it.getByText("live", { exact: true }).waitFor();
    expectRefusals(page);
  });

  await check("login: users are switched off and on in the middle", async (open) => {
    const page = await open(url);
    await page.go("keys/part");
    await logIn(page, ANN);
    await asRoot(url, "DELETE", "/v2/auth/enable");
    await page.go("locks");
    await page.it.locator(".who").waitFor({ state: "detached" });
    await page.go("keys/secret/s");
    await shows(page, "of root");
    await asRoot(url, "PUT", "/v2/auth/enable");
    await page.go("keys/secret");
    await saysWhy(page, "Not logged in: no right to read /secret");
    await goOn(page);
    expectRefusals(page);
  });
}

async function looksChecks(check, { url }) {
  await check("login: nothing wrong by axe-core, in the dark and on a phone", async (open) => {
    const page = await open(url, { dark: true, phone: true });
    await page.go("keys/part/a");
    await form(page).waitFor();
    await fillIn(page, "ann:wrong");
    await page.seen("Wrong name or password.");
    same(await page.faults(), [], "the form");
    same(await page.isTooWide(), false, "the form is wider than the window");
    await goOn(page);
    await page.go("keys/part");
    await page.seen("Not logged in: no right to read /part.");
    same(await page.faults(), [], "a refusal");
    same(await page.isTooWide(), false, "a refusal is wider than the window");
    expectRefusals(page);
  });
}

export async function loginChecks(check) {
  await alone([], async (machine) => {
    await prepare(machine.url);
    await enteringChecks(check, machine);
    await rightsChecks(check, machine);
    await endingChecks(check, machine);
    await looksChecks(check, machine);
  });
}
