// What is seen of machines that fail while the page is open.

import { health, rowOf } from "./cluster.mjs";
import { ask, ensure, same, until } from "./kit.mjs";

export async function failureChecks(check, cluster) {
  await check("failures: the leader is killed while the page is open", async (open) => {
    const leader = await cluster.leader();
    const { json } = await ask(leader.url, "GET", "/v2/stats/cluster");
    const member = json.members.find((one) => one.name !== leader.name);
    const watched = cluster.machines.find((machine) => machine.name === member.name);
    const page = await open(watched.url);
    await page.go("cluster");
    await until("the leader is shown", async () =>
      (await rowOf(page, leader.name).innerText()).includes("leader"),
    );
    const events = await open(watched.url);
    await events.go("events");
    await events.seen("Waiting for events");
    leader.child.kill("SIGKILL");
    await until("it is shown as gone", async () =>
      (await rowOf(page, leader.name).innerText()).includes("unreachable"),
    );
    const next = await cluster.leader();
    ensure(next !== leader, "another one leads");
    await until("the next leader is shown", async () =>
      /^leader$|\bleader\b/.test(
        (await rowOf(page, next.name).innerText()).replace("was leader", ""),
      ),
    );
    await health(page).getByText("Degraded.").waitFor();
    await health(page).getByText("No further machine may fail.").waitFor();
    await health(page).getByText(`${leader.name} does not answer.`).waitFor();
    const facts = await health(page).innerText();
    ensure(!facts.includes("at least"), `since when is known, it was seen: ${facts}`);
    await until(
      "writes go on",
      async () =>
        (await ask(watched.url, "PUT", "/v2/keys/after", { value: "the kill" })).status < 300,
    );
    await events
      .get("row", /\/after/)
      .first()
      .waitFor();
    same(await events.it.getByText(/lost/).count(), 0, "false alarms");
    for (const one of [page, events])
      one.problems = one.problems.filter((problem) => !/status of 50\d/.test(problem));
  });

  await check("failures: a server that ends is told of", async (open) => {
    const machine = await cluster.leader();
    const page = await open(machine.url);
    await page.go("locks");
    machine.child.kill("SIGKILL");
    await page.seen("This server is not responding. Retrying.");
    // That a request failed is what the browser says by itself.
    page.problems = page.problems.filter((problem) => !problem.includes("net::ERR_"));
  });
}
