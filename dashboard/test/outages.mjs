// What is said while the machine behind the page, or the majority of its cluster, is gone.

import { machines, rowOf } from "./cluster.mjs";
import { Cluster, ensure, picture, put, same, until } from "./kit.mjs";

const actionsIn = (page) => machines(page).getByRole("button", { name: /^Actions for/ });

export async function outagesChecks(check) {
  const cluster = new Cluster();
  try {
    for (let number = 0; number < 3; number += 1) await cluster.start();
    await cluster.formed(3);
    const [first, second, third] = cluster.machines;
    await put(first.url, "/a", { value: "1" });

    await check("outages: the machine behind the page is gone", async (open) => {
      const pages = [];
      for (const view of ["cluster", "keys/a", "events", "locks"]) {
        const page = await open(second.url);
        await page.go(view);
        pages.push(page);
      }
      const [page] = pages;
      await until("all are shown", async () => (await actionsIn(page).count()) === 3);
      await until(
        "each has a role",
        async () =>
          (await machines(page)
            .getByText(/^(leader|follower)$/)
            .count()) === 3,
      );
      await page.get("region", "Health").getByText("Healthy.").waitFor();
      second.child.kill("SIGKILL");
      for (const one of pages) {
        const alert = one.it
          .getByRole("alert")
          .filter({ hasText: "This server is not responding." });
        await alert.getByText(/What is shown is of .+, \d+ s ago\./).waitFor();
        for (const { name, url } of [first, third]) {
          const href = await alert.getByRole("link", { name }).getAttribute("href");
          ensure(href.startsWith(`${url}/mod/dashboard/#`), `the way to another: ${href}`);
        }
        same(await one.faults(), [], "a page whose machine is gone");
      }
      await page
        .get("region", "Health")
        .getByText("Unknown: this machine does not answer.")
        .waitFor();
      await machines(page)
        .getByText(/as they were at .+ ago/)
        .waitFor();
      await page.press("Actions for m1");
      for (const name of [/^Remove/, /^Move leadership/]) {
        const item = page.get("menuitem", name);
        ensure(await item.isDisabled(), "nothing can be removed or moved");
        ensure((await item.innerText()).includes("does not answer"), "and why is said");
      }
      await page.it.keyboard.press("Escape");
      await until(
        "nothing is said to be as it was",
        async () =>
          (await machines(page)
            .getByText(/^was (leader|follower)$/)
            .count()) === 3,
      );
      ensure(
        !/\d+ (s|min|h)\b/.test(await rowOf(page, "m1").innerText()),
        "nobody knows how long it has been up",
      );
      for (const one of pages)
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
      const health = page.get("region", "Health");
      await health.getByText("No changes possible.").waitFor();
      await picture(page, "majority-lost-light");
      await health.getByText("1 of 3 voting members answers, and 2 are needed.").waitFor();
      await health.getByText("Start 1 of these again: m1, m2.").waitFor();
      await until("nothing can be saved", async () => page.get("button", "Save").isDisabled());
      await page.press("Actions for m1");
      const remove = page.get("menuitem", /^Remove/);
      ensure(await remove.isDisabled(), "nothing can be removed");
      await page.it.keyboard.press("Escape");
      const gone = await rowOf(page, "m1").innerText();
      ensure(
        gone.includes("unreachable") && gone.includes("was "),
        `it is said to be gone: ${gone}`,
      );
      ensure(!/\d+ (s|min|h)\b/.test(gone), `a dead machine is not up: ${gone}`);
      same(await page.faults(), [], "a page without a majority");
      for (const view of ["keys/a", "events", "locks", "people"]) {
        await page.go(view);
        await page.seen("The majority is lost");
      }
      page.problems = page.problems.filter((problem) => !/status of 50\d/.test(problem));
    });
  } finally {
    await cluster.stop();
  }
}
