// What is said while the machine behind the page, or the majority of its cluster, is gone.

import { Cluster, ensure, put, same, until } from "./kit.mjs";

export async function outagesChecks(check) {
  const cluster = new Cluster();
  try {
    for (let number = 0; number < 3; number += 1) await cluster.start();
    await cluster.formed(3);
    const [first, second, third] = cluster.machines;
    await put(first.url, "/a", { value: "1" });

    await check("outages: the machine behind the page is gone", async (open) => {
      const [page, keys] = [await open(second.url), await open(second.url)];
      await page.go("cluster");
      const machines = page.get("region", "Machines of the cluster");
      await until(
        "all are shown",
        async () => (await machines.getByRole("button", { name: /^Remove/ }).count()) === 3,
      );
      await until(
        "each has a role",
        async () => (await machines.getByText(/^(leader|follower)$/).count()) === 3,
      );
      // What one machine knows is not said of the others.
      const terms = machines.getByRole("columnheader", { name: "Term" });
      same(await terms.count(), 0, "columns of terms");
      await keys.go("keys/a");
      await keys.get("heading", "/a").waitFor();
      second.child.kill("SIGKILL");
      for (const one of [page, keys]) {
        const alert = one.it
          .getByRole("alert")
          .filter({ hasText: "This server is not responding." });
        await alert.getByText(/What is shown is of .+, \d+ s ago\./).waitFor();
        for (const { name, url } of [first, third]) {
          same(
            await alert.getByRole("link", { name }).getAttribute("href"),
            `${url}/mod/dashboard/`,
            "the way to another",
          );
        }
        same(await one.faults(), [], "a page whose machine is gone");
      }
      await machines.getByText(/as they were at .+ ago/).waitFor();
      for (const button of await machines.getByRole("button").all())
        ensure(await button.isDisabled(), "nothing can be removed");
      await until(
        "nothing is said to be as it was",
        async () => (await machines.getByText(/^was (leader|follower)$/).count()) === 3,
      );
      for (const one of [page, keys])
        one.problems = one.problems.filter((problem) => !problem.includes("net::ERR"));
    });

    await check("outages: the majority is lost", async (open) => {
      const page = await open(third.url);
      await page.go("cluster");
      await page.get("spinbutton", /activeSize/).waitFor();
      first.child.kill("SIGKILL");
      await page.it
        .getByRole("alert")
        .getByText("The majority is lost: 1 of 3 voting members answer")
        .waitFor();
      await page.seen("Not reachable: m1, m2. Start at least 1 of them again.");
      await until("nothing can be saved", async () => page.get("button", "Save").isDisabled());
      ensure(await page.get("button", "Remove m1").isDisabled(), "nothing can be removed");
      const gone = page.it.locator("tr", { hasText: "unreachable" }).first();
      ensure(
        !/\d+ (s|min|h)\b/.test(await gone.innerText()),
        `a dead machine is not up: ${await gone.innerText()}`,
      );
      same(await page.faults(), [], "a page without a majority");
      for (const view of ["keys/a", "locks"]) {
        await page.go(view);
        await page.seen("The majority is lost");
      }
      await page.go("keys/a");
      await page.press("Edit");
      await page.it.getByRole("textbox", { name: "Value", exact: true }).fill("typed");
      await page.press("Save");
      const dialog = page.get("dialog", "Edit /a");
      await until(
        "it is refused",
        async () => (await dialog.getByRole("alert").innerText()) !== "",
      );
      same(
        await page.it.getByRole("textbox", { name: "Value", exact: true }).inputValue(),
        "typed",
        "what was typed",
      );
      page.problems = page.problems.filter((problem) => !/status of 50\d/.test(problem));
    });
  } finally {
    await cluster.stop();
  }
}
