// What -dashboard and the presence of users say.

import { ROOT, prepare, form, shows, logIn, requestsOf, expectRefusals } from "./login.mjs";
import { alone, ask, ensure, put, same } from "./kit.mjs";

async function loginModes(check) {
  await check("login: nothing of it where users do not count", async (open) => {
    await alone([], async ({ url }) => {
      await put(url, "/a", { value: "1" });
      const page = await open(url);
      const seen = requestsOf(page);
      await page.go("keys/a");
      await page.it.getByRole("textbox", { name: /^Value of/ }).waitFor();
      same(await page.it.locator(".who").count(), 0, "nobody is named");
      for (const one of seen) same(one.headers().authorization, undefined, one.url());
      await page.close();
    });
  });

  await check("login: the cluster's secret is none", async (open) => {
    await alone(["-peer-token", "a secret of 16 letters or so"], async ({ url }) => {
      const page = await open(url);
      await page.go("cluster");
      await page.get("spinbutton", /activeSize/).waitFor();
      await page.press("Save");
      await page.seen("the cluster's secret is missing or wrong");
      same(await form(page).count(), 0, "forms");
      await page.go("locks");
      await page.seen("No locks yet.");
      expectRefusals(page);
      await page.close();
    });
  });

  await check("login: read-only stays read-only", async (open) => {
    await alone(["-dashboard", "read-only"], async ({ url }) => {
      await prepare(url);
      const page = await open(url);
      await page.go("keys/secret/s");
      await logIn(page, ROOT);
      await shows(page, "of root");
      const changing = /^(Edit|Delete|New key|New directory|Save|Remove)/;
      for (const button of await page.get("button", changing).all())
        ensure(await button.isDisabled(), "buttons that change something");
      expectRefusals(page);
      await page.close();
    });
  });
}

export async function modeChecks(check) {
  await loginModes(check);
  await check("modes: off is not there", () =>
    alone(["-dashboard", "off"], async ({ url }) => {
      for (const path of [
        "/dashboard",
        "/mod/dashboard",
        "/mod/dashboard/",
        "/mod/dashboard/app.js",
      ]) {
        same((await ask(url, "GET", path)).status, 404, path);
      }
    }),
  );

  await check("modes: read-only offers no change", (open) =>
    alone(["-dashboard", "read-only"], async ({ url }) => {
      await put(url, "/a", { value: "1" });
      await ask(url, "POST", "/mod/v2/lock/deploy?ttl=600", { value: "alice" });
      const page = await open(url);
      const reason = "This dashboard is read-only (-dashboard=read-only).";
      const changing = /^(Edit|Delete|New key|New directory|Save|Remove)/;
      /** Those that can be pressed, with what they would do. */
      const offered = async () => {
        const found = await page.get("button", changing).all();
        const can = await Promise.all(found.map(async (one) => !(await one.isDisabled())));
        return can.filter(Boolean).length;
      };
      await page.go("keys/a");
      await page.seen("read-only");
      await page.get("heading", "/a").waitFor();
      same(await offered(), 0, "buttons that change something");
      await page.go("cluster");
      await page.get("spinbutton", /activeSize/).waitFor();
      same(await page.get("button", changing).count(), 0, "buttons that change something");
      same(await page.get("spinbutton", /activeSize/).isDisabled(), true, "the configuration");
      await page.seen(reason);
      await page.seen("No followers.");
      await page.press("Actions for m1");
      for (const name of [/^Move leadership/, /^Remove/]) {
        ensure(await page.get("menuitem", name).isDisabled(), `${name} is not offered`);
        ensure((await page.get("menuitem", name).innerText()).includes(reason), "and why is said");
      }
      await page.go("locks");
      await page.press(/^Actions for entry/);
      ensure(await page.get("menuitem", /^Release/).isDisabled(), "a lock cannot be released");
      await page.go("people");
      for (const name of [
        "New user",
        "New role",
        "Create the user root",
        "Turn authentication on...",
      ])
        ensure(await page.get("button", name).isDisabled(), `${name} is not offered`);
      same(await page.faults(), [], "a dashboard that is read-only");
      await page.close();
    }),
  );
}
