// The view of users.

import { alone, ask, ensure, picture, same, until } from "./kit.mjs";

const ROOT = "root:a root's word";

function allowRefusals(page) {
  page.problems = page.problems.filter((problem) => !/status of (400|401|404|409)/.test(problem));
}

const field = (page, name) => page.it.getByLabel(name, { exact: true });

async function choose(page, menu, item) {
  await page.press(`Actions for the ${menu}`);
  await page.get("menuitem", item).click();
}

async function logIn(page, user) {
  const form = page.get("dialog", "Log in");
  // Who may not read users is not asked by looking at the page, and logs in when they like.
  if (!(await form.isVisible())) await page.press("Log in");
  const [name, ...password] = user.split(":");
  await form.getByLabel("Name").fill(name);
  await form.getByLabel("Password").fill(password.join(":"));
  await form.getByRole("button", { name: "Log in" }).click();
  await form.waitFor({ state: "detached" });
  await page.get("button", "Log out").waitFor();
}

const isRight = async (url, user, key = "/app/x") =>
  (await ask(url, "GET", `/v2/keys${key}`, undefined, user)).status !== 401;
const roleOf = async (url, name) =>
  (await ask(url, "GET", `/v2/auth/roles/${name}`, undefined, ROOT)).json?.permissions?.kv;
const rolesOf = async (url, name) =>
  (await ask(url, "GET", `/v2/auth/users/${name}`, undefined, ROOT)).json?.roles?.map(
    (one) => one.role,
  );

async function beginChecks(check, url) {
  await check("people: how to begin, and all of it from the page", async (open) => {
    const page = await open(url);
    await page.go("locks");
    same(await page.get("link", "People").count(), 0, "views, while users do not count");
    await page.press("Settings");
    await page.get("menuitem", "Users and rights").click();
    await page.seen("authentication is off");
    await page.seen("Everybody may read and change everything");
    ensure(
      (await page.it.locator("pre").first().innerText()).includes("/v2/auth/users/root -XPUT"),
      "a line to try",
    );
    ensure(await page.get("button", "Turn authentication on...").isDisabled(), "not without root");
    same(await page.faults(), [], "how to begin");
    await page.press("Create the user root");
    const form = page.get("dialog", "Create the user root");
    await form.getByRole("button", { name: "Create" }).click();
    await form.getByRole("alert").getByText("Enter a password.").waitFor();
    await field(page, "Password").fill(ROOT.slice(5));
    await form.getByRole("button", { name: "Create" }).click();
    await page.seen("The user root was created.");
    await page.seen("done");
  });

  await check("people: a role and a user are made", async (open) => {
    const page = await open(url);
    await page.go("people");
    await page.press("New role");
    await field(page, "Name").fill("app");
    await field(page, "Pattern 1").fill("app/*");
    await page.press("Create");
    await page.it.getByRole("alert").getByText("A pattern begins with /.").waitFor();
    await field(page, "Pattern 1").fill("/app/*");
    await page.get("checkbox", "write").check();
    await page.press("Add a pattern");
    await field(page, "Pattern 2").fill("/public/*");
    same(await page.faults(), [], "the form of a role");
    await page.press("Create");
    await page.seen("The role app was created.");
    same(
      await roleOf(url, "app"),
      { read: ["/app/*", "/public/*"], write: ["/app/*"] },
      "the role",
    );
    await page.press("New user");
    await field(page, "Name").fill("ann");
    await field(page, "Password").fill("ann's");
    await page.get("checkbox", "app").check();
    same(await page.faults(), [], "the form of a user");
    await page.press("Create");
    await page.seen("The user ann was created.");
    same(await rolesOf(url, "ann"), ["app"], "the roles of ann");
    await page.get("row", /^ann app/).waitFor();
    const row = await page.get("region", "Roles").getByRole("row", { name: /^app/ }).innerText();
    ensure(
      /\/app\/\*\s+read, write/.test(row) && /\/public\/\*\s+read/.test(row),
      `what the role allows: ${row}`,
    );
  });

  await check("people: authentication is turned on, with a warning", async (open) => {
    const page = await open(url);
    await page.go("people");
    await page.press("Turn authentication on...");
    const dialog = page.get("dialog", "Turn authentication on?");
    await dialog.getByText("Requests without a name and a password are refused").waitFor();
    await dialog.getByRole("button", { name: "Cancel" }).click();
    same((await ask(url, "GET", "/v2/auth/enable")).json.enabled, false, "nothing was done");
    await page.press("Turn authentication on...");
    await dialog.getByRole("button", { name: "Turn on" }).click();
    await page.seen("Log in to go on.");
    await logIn(page, ROOT);
    await page.seen("authentication is on");
    await page.get("link", "People").waitFor();
    await page.get("row", /^root \(you\) root/).waitFor();
    allowRefusals(page);
  });
}

async function editChecks(check, url) {
  await check("people: rights and roles are edited", async (open) => {
    const page = await open(url);
    await page.go("people");
    await logIn(page, ROOT);
    await choose(page, "role app", "Rights...");
    await page.press("Take pattern 2 away");
    await page.get("checkbox", "write").uncheck();
    await page.press("Add a pattern");
    await field(page, "Pattern 2").fill("/shared");
    await page.press("Save");
    await page.seen("The rights of the role app were saved.");
    const kv = await roleOf(url, "app");
    same([kv.read.sort(), kv.write], [["/app/*", "/shared"], []], "the role");
    await choose(page, "user ann", "Roles...");
    await page.get("checkbox", "app").uncheck();
    await page.get("checkbox", "guest").check();
    await page.press("Save");
    await page.seen("The roles of ann were saved.");
    same(await rolesOf(url, "ann"), ["guest"], "the roles of ann");
    await choose(page, "user ann", "Roles...");
    await page.get("checkbox", "app").check();
    await page.press("Save");
    await until("she has both", async () => (await rolesOf(url, "ann")).length === 2);
    await page.press("Actions for the role root");
    ensure(await page.get("menuitem", /^Rights/).isDisabled(), "root's rights stay");
    ensure(
      (await page.get("menuitem", /^Rights/).innerText()).includes("cannot be changed"),
      "and why is said",
    );
    same(await page.faults(), [], "a menu");
    allowRefusals(page);
  });

  await check("people: passwords are changed, one's own too", async (open) => {
    const page = await open(url);
    await page.go("people");
    await logIn(page, ROOT);
    await choose(page, "user ann", "Change the password...");
    await field(page, "New password").fill("another");
    await page.press("Change");
    await page.seen("The password of ann was changed.");
    ensure(await isRight(url, "ann:another"), "the new one is right");
    ensure(!(await isRight(url, "ann:ann's")), "the old one is wrong");
    await choose(page, "user root", "Change the password...");
    await field(page, "New password").fill("changed");
    await page.press("Change");
    await page.seen("The password of root was changed.");
    await choose(page, "user root", "Change the password...");
    await field(page, "New password").fill(ROOT.slice(5));
    await page.press("Change");
    await until("who changed it stays logged in", () => isRight(url, ROOT));
    same(await page.get("dialog", "Log in").count(), 0, "forms");
    allowRefusals(page);
  });

  await check("people: who may not sees what they may, and why", async (open) => {
    const page = await open(url);
    await page.go("people");
    await page.get("button", "Log in").first().waitFor();
    const asked = [];
    await logIn(page, "ann:another");
    page.it.on("request", (request) => {
      if (/auth\/(users|roles)/.test(request.url())) asked.push(request.url());
    });
    const own = page.get("region", "You");
    await own.getByText("You are ann").waitFor();
    await own.getByText("/shared").waitFor();
    const said = await own.innerText();
    for (const word of ["app", "guest", "/app/*", "/shared", "read"])
      ensure(said.includes(word), `${word} in ${said}`);
    const reason = "ann has no right to do this: it takes the role root.";
    await page.get("region", "Users and roles").getByText(reason).waitFor();
    for (const name of ["New user", "New role"]) {
      ensure(await page.get("button", name).isDisabled(), `${name} is not offered`);
      same(await page.get("button", name).getAttribute("title"), reason, "why");
    }
    await page.go("cluster");
    await page.press("Actions for m1");
    ensure(
      (await page.get("menuitem", /^Remove/).innerText()).includes(reason),
      "why nothing is removed",
    );
    same(await page.faults(), [], "the page of one who may not");
    same(asked, [], "requests that would be refused");
    allowRefusals(page);
  });
}

async function endChecks(check, url) {
  await check("people: users and roles are deleted, one's own too", async (open) => {
    await ask(
      url,
      "PUT",
      "/v2/auth/users/bob",
      JSON.stringify({ user: "bob", password: "b", roles: ["root"] }),
      ROOT,
    );
    const page = await open(url);
    await page.go("people");
    await logIn(page, "bob:b");
    await choose(page, "role app", "Delete...");
    await page.seen("ann lose its rights.");
    await page.press("Delete");
    await page.seen("The role app was deleted.");
    await choose(page, "user ann", "Delete...");
    await page.press("Delete");
    await page.seen("The user ann was deleted.");
    same((await ask(url, "GET", "/v2/auth/users/ann", undefined, ROOT)).status, 404, "ann");
    await choose(page, "user bob", "Delete...");
    await page.seen("You are logged in as this user");
    ensure(await page.get("button", "Delete").isDisabled(), "it wants the name first");
    await field(page, "Type bob to confirm").fill("bob");
    await page.press("Delete");
    await page.seen("The server no longer accepts the name and password of bob.");
    await page.press("Continue without logging in");
    allowRefusals(page);
  });

  await check("people: in all looks, and authentication is turned off", async (open) => {
    for (const look of [{}, { dark: true }, { phone: true }, { phone: true, dark: true }]) {
      const page = await open(url, look);
      await page.go("people");
      await logIn(page, ROOT);
      await page.get("region", "Users").waitFor();
      same(await page.faults(), [], JSON.stringify(look));
      same(await page.isTooWide(), false, "wider than the window");
      await picture(page, `people-${look.dark ? "dark" : "light"}${look.phone ? "-phone" : ""}`);
      allowRefusals(page);
    }
    const page = await open(url);
    await page.go("people");
    await logIn(page, ROOT);
    await page.press("Authentication");
    await page.get("menuitem", "Turn authentication off...").click();
    await page.seen("Everybody who reaches a client port");
    await field(page, "Type off to confirm").fill("off");
    await page.press("Turn off");
    await page.seen("authentication is off");
    same((await ask(url, "GET", "/v2/auth/enable")).json.enabled, false, "authentication");
    allowRefusals(page);
  });
}

export async function peopleChecks(check) {
  await alone([], async ({ url }) => {
    await beginChecks(check, url);
    await editChecks(check, url);
    await endChecks(check, url);
  });
}
