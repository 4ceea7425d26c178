// What -dashboard says.

import { alone, ask, put, same } from "./kit.mjs";

export async function modeChecks(check) {
  await check("modes: off is not there", () => alone(["-dashboard", "off"], async ({ url }) => {
    for (const path of ["/dashboard", "/mod/dashboard", "/mod/dashboard/", "/mod/dashboard/app.js"]) {
      same((await ask(url, "GET", path)).status, 404, path);
    }
  }));

  await check("modes: read-only offers no change", (open) => alone(["-dashboard", "read-only"], async ({ url }) => {
    await put(url, "/a", { value: "1" });
    const page = await open(url);
    await page.go("keys/a");
    await page.seen("read-only");
    await page.get("heading", "/a").waitFor();
    const changing = /^(Edit|Delete|New key|New directory|Save|Remove)/;
    same(await page.get("button", changing).count(), 0, "buttons that change something");
    await page.go("cluster");
    await page.get("spinbutton", /activeSize/).waitFor();
    same(await page.get("button", changing).count(), 0, "buttons that change something");
    same(await page.get("spinbutton", /activeSize/).isDisabled(), true, "the configuration");
    await page.seen("No followers.");
  }));
}
