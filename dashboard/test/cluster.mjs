// The view of the cluster, and what is seen of failures.

import { ask, ensure, put, same, until } from "./kit.mjs";

async function rowOf(page, name) {
  return page.it.locator("tbody tr").filter({ has: page.it.locator("td:first-child", { hasText: name }) }).first();
}

export async function clusterChecks(check, cluster) {
  const leader = await cluster.leader();
  const follower = cluster.machines.find((machine) => machine !== leader);

  await check("cluster: every machine is shown, from every machine", async (open) => {
    for (const machine of cluster.machines) {
      const page = await open(machine.url);
      await page.go("cluster");
      for (const { name } of cluster.machines) {
        const row = await rowOf(page, name);
        await row.waitFor();
        const role = name === leader.name ? "leader" : "follower";
        await until(`${name} is ${role}`, async () => (await row.innerText()).includes(role));
        ensure(/\d+ (s|min)/.test(await row.innerText()), "its uptime is shown");
        ensure((await row.innerText()).includes("0.1.0"), "its version is shown");
      }
      if (machine !== leader) await page.seen("Latencies are shown on the leader");
    }
  });

  await check("cluster: the leader's calls as a table and a graph", async (open) => {
    const page = await open(leader.url);
    await page.go("cluster");
    const table = page.it.getByRole("region", { name: "Latency of each follower, in milliseconds" });
    await until("two followers are in the table", async () => await table.locator("tbody tr").count() === 2);
    const stats = (await ask(leader.url, "GET", "/v2/stats/leader")).json;
    for (const name of Object.keys(stats.followers)) {
      const cells = await table.locator("tbody tr", { hasText: name }).locator("td").allInnerTexts();
      same(cells.length, 8, "columns");
      ensure(cells.slice(1, 6).every((cell) => /^\d+\.\d{3}$/.test(cell)), `milliseconds: ${cells}`);
      ensure(Number(cells[4]) <= Number(cells[5]), `the minimum is no more than the maximum: ${cells}`);
    }
    await until("the graph has two lines", async () => page.it.evaluate(() => [...document.querySelectorAll("#view figure:first-of-type polyline")]
      .filter((line) => line.getAttribute("points").split(" ").length >= 3).length >= 2));
  });

  await check("cluster: rates, watchers and counters live", async (open) => {
    const page = await open(follower.url);
    await page.go("cluster");
    const chart = (title) => page.it.getByRole("img", { name: new RegExp(`^${title}:`) });
    await chart("Operations on keys").waitFor();
    let isOn = true;
    const writing = (async () => { for (let number = 0; isOn; number += 1) await put(follower.url, "/rate", { value: String(number) }); })();
    try {
      await until("writes are drawn", async () => /writes [1-9][\d,]*(\.\d+)? per s/.test(await chart("Operations on keys").getAttribute("aria-label")));
      await until("requests are drawn", async () => /PUT [1-9]/.test(await chart("HTTP requests to this machine").getAttribute("aria-label")));
    } finally {
      isOn = false;
      await writing;
    }
    const abort = new AbortController();
    // An answer that nobody holds is collected, and its connection is closed with it.
    const watch = await fetch(`${follower.url}/v2/keys/rate?wait=true&stream=true`, { signal: abort.signal });
    const reading = watch.text().catch(() => {});
    await until("a watcher is drawn", async () => /watchers [1-9]/.test(await chart("Watchers on this machine").getAttribute("aria-label")));
    abort.abort();
    await reading;
    const sets = (await ask(follower.url, "GET", "/v2/stats/store")).json.setsSuccess;
    await page.it.getByRole("row", { name: `Set ${sets.toLocaleString("en")} ` }).waitFor();
  });

  await check("cluster: the configuration is edited", async (open) => {
    const page = await open(follower.url);
    await page.go("cluster");
    await page.get("spinbutton", /activeSize/).fill("3");
    await page.get("spinbutton", /syncInterval/).fill("1");
    await page.press("Save");
    await page.seen("Configuration saved.");
    const config = (await ask(leader.url, "GET", "/v2/admin/config")).json;
    same([config.activeSize, config.syncInterval, config.removeDelay], [3, 1, 1800], "the configuration");
  });

  await check("cluster: a standby is shown, a machine is removed, the standby takes its place", async (open) => {
    await cluster.start();
    const page = await open(leader.url);
    await page.go("cluster");
    await until("the standby is shown", async () => (await (await rowOf(page, "m4")).innerText()).includes("standby"));
    const victim = cluster.machines.find((machine) => machine !== leader && machine !== follower && machine.name !== "m4");
    await page.press(`Remove ${victim.name}`);
    const button = page.get("button", "Remove");
    ensure(await button.isDisabled(), "it wants the name first");
    await page.it.getByLabel(`Type ${victim.name} to confirm`).fill(victim.name);
    await button.click();
    await page.seen(`${victim.name} was removed.`);
    await until("there are three members and a standby again", async () => {
      const { json } = await ask(leader.url, "GET", "/v2/stats/cluster");
      return json.members.length === 3 && json.standbys?.length === 1 && json.members.every((one) => one.voter && one.clientURL);
    });
    await until("the page says so", async () => (await page.it.locator(".role.standby").count()) === 1);
  });
}

export async function failureChecks(check, cluster) {
  await check("failures: the leader is killed while the page is open", async (open) => {
    const leader = await cluster.leader();
    const { json } = await ask(leader.url, "GET", "/v2/stats/cluster");
    const member = json.members.find((one) => one.name !== leader.name);
    const watched = cluster.machines.find((machine) => machine.name === member.name);
    const page = await open(watched.url);
    await page.go("cluster");
    await until("the leader is shown", async () => (await (await rowOf(page, leader.name)).innerText()).includes("leader"));
    const keys = await open(watched.url);
    await keys.go("keys");
    await keys.press("Follow");
    await keys.seen("Connected: waiting for events.");
    leader.child.kill("SIGKILL");
    await until("it is shown as gone", async () => (await (await rowOf(page, leader.name)).innerText()).includes("unreachable"));
    const next = await cluster.leader();
    ensure(next !== leader, "another one leads");
    await until("the next leader is shown", async () => (await (await rowOf(page, next.name)).innerText()).includes("leader"));
    await until("writes go on", async () => (await ask(watched.url, "PUT", "/v2/keys/after", { value: "the kill" })).status < 300);
    await keys.it.locator(".events li", { hasText: "/after" }).waitFor();
  });

  await check("failures: a server that ends is told of", async (open) => {
    const machine = await cluster.leader();
    const page = await open(machine.url);
    await page.go("locks");
    machine.child.kill("SIGKILL");
    await page.seen("This server is not responding. Retrying.");
    // That a request failed is what the browser says by itself.
    page.problems = page.problems.filter((problem) => !problem.includes("net::ERR_CONNECTION"));
  });
}
