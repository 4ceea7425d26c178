// The view of the cluster.

import { ask, ensure, put, same, sleep, until } from "./kit.mjs";

/** What a server that lacks a part of the answer would say there. */
export async function answering(page, edit) {
  await page.it.route(/\/v2\/stats\/cluster/, async (route) => {
    const answer = await route.fetch().catch(() => null);
    if (!answer) return route.abort();
    const json = await answer.json();
    edit(json);
    return route.fulfill({ json });
  });
}

export function machines(page) {
  return page.get("region", "Machines of the cluster");
}

export function rowOf(page, name) {
  const own = page.it.getByRole("button", { name: `Actions for ${name}`, exact: true });
  return machines(page).locator("tr, li").filter({ has: own }).first();
}

/** Opens the menu of a machine, and gives an item of it. */
export async function itemOf(page, machine, name) {
  await page.press(`Actions for ${machine}`);
  return page.get("menuitem", name);
}

export const health = (page) => page.get("region", "Health");
const chart = (page, title) => page.it.getByRole("img", { name: new RegExp(`^${title},`) });

async function machineChecks(check, cluster, leader, follower) {
  await check("cluster: every machine is shown, from every machine", async (open) => {
    for (const machine of cluster.machines) {
      const page = await open(machine.url);
      await page.go("cluster");
      for (const { name } of cluster.machines) {
        const row = rowOf(page, name);
        await row.waitFor();
        const role = name === leader.name ? "leader" : "follower";
        await until(`${name} is ${role}`, async () => (await row.innerText()).includes(role));
        ensure(/\d+ (s|min)/.test(await row.innerText()), "its uptime is shown");
        ensure((await row.innerText()).includes("0.1.0"), "its version is shown");
      }
      if (machine !== leader) {
        await page.seen("Latencies are shown on the leader");
        const link = page.get("region", "Replication").getByRole("link", { name: leader.name });
        ensure((await link.getAttribute("href")).startsWith(leader.url), "the way to the leader");
      }
    }
  });

  await check("cluster: health is said first", async (open) => {
    const page = await open(leader.url);
    await page.go("cluster");
    await health(page).getByText("Healthy.").waitFor();
    await health(page).getByText("One machine may fail.").waitFor();
    const first = await page.it.locator("#view section").first().getAttribute("aria-label");
    same(first, "Health", "the first thing on the page");
    const facts = await health(page).innerText();
    for (const word of [leader.name, "since", "Well for", "Term"])
      ensure(facts.includes(word), `${word} is said: ${facts}`);
    const { json } = await ask(leader.url, "GET", "/v2/stats/cluster");
    ensure(json.leaderSince > 0 && json.tolerates === 1, "the server tells it");
    await page.it.reload();
    await health(page)
      .getByText(/Well for/)
      .waitFor();
    const again = (await ask(leader.url, "GET", "/v2/stats/cluster")).json;
    same(again.leaderSince, json.leaderSince, "since when it leads");
  });

  await check("cluster: what each machine says of itself", async (open) => {
    const page = await open(follower.url);
    await page.go("cluster");
    const row = rowOf(page, leader.name);
    await until("all is told", async () => {
      const { json } = await ask(follower.url, "GET", "/v2/stats/cluster");
      return json.members.every((one) => one.memory > 0 && one.term !== null && one.keys !== null);
    });
    await until("all is shown", async () => {
      const text = await row.innerText();
      return /\d B|kB|MB/.test(text) && !text.includes("\u2013\t\u2013");
    });
    same(await page.it.locator(".differs").count(), 0, "terms that differ");
  });

  await check(
    "cluster: what is not known is a dash, and terms that differ are marked",
    async (open) => {
      const page = await open(leader.url);
      await answering(page, (json) => {
        const one = json.members.find((member) => member.name === follower.name);
        Object.assign(one, { diskSync: null, memory: null, keys: null, term: json.term + 3 });
      });
      await page.go("cluster");
      const row = rowOf(page, follower.name);
      await until(
        "terms are marked",
        async () => (await page.it.locator(".differs").count()) === 3,
      );
      ensure((await row.innerText()).match(/\u2013/g).length >= 3, "dashes");
      same(await page.faults(), [], "terms that differ");
    },
  );

  await check("cluster: what is wrong is said, with what to do", async (open) => {
    const page = await open(leader.url);
    await answering(page, (json) => {
      const [one, two] = json.members;
      one.failing = ["disk"];
      two.failing = ["certificate"];
      json.members[2].diverged = true;
    });
    await page.go("cluster");
    await health(page).getByText("Degraded.").waitFor();
    const found = await page.get("list", "What is wrong").innerText();
    for (const words of [
      "The disk of m1 is full",
      "Free some space",
      "A certificate of m2 has expired",
      "Replace its files",
      "m3 has another state",
      "-force-rejoin",
    ])
      ensure(found.includes(words), `${words} in ${found}`);
    same(await page.faults(), [], "a cluster that is not well");
    for (const view of ["cluster", "keys", "events", "locks", "people"]) {
      await page.go(view);
      const banners = page.it.getByRole("alert");
      for (const words of [
        "The disk of m1 is full",
        "A certificate of m2",
        "Members differ: the state of m3",
      ])
        await banners.getByText(words).first().waitFor();
    }
  });
}

async function chartChecks(check, cluster, leader, follower) {
  await check("cluster: the leader's calls as a table", async (open) => {
    const page = await open(leader.url);
    await page.go("cluster");
    const table = page.get("table", "Latency of each follower, in milliseconds");
    await until(
      "two followers are in the table",
      async () => (await table.locator("tbody tr").count()) === 2,
    );
    const stats = (await ask(leader.url, "GET", "/v2/stats/leader")).json;
    for (const name of Object.keys(stats.followers)) {
      const row = table.locator("tbody tr", { hasText: name });
      const cells = await row.locator("th, td").allInnerTexts();
      same(cells.length, 8, "columns");
      ensure(
        cells.slice(1, 6).every((cell) => /^\d+\.\d{3}$/.test(cell)),
        `milliseconds: ${cells}`,
      );
      ensure(
        Number(cells[4]) <= Number(cells[5]),
        `the minimum is no more than the maximum: ${cells}`,
      );
    }
    // What is shown is not of once.
    const before = await table.innerText();
    await until("the table follows", async () => (await table.innerText()) !== before);
  });

  await check("cluster: rates, watchers and counters live", async (open) => {
    const page = await open(follower.url);
    await page.go("cluster");
    const said = async (title) => chart(page, title).getAttribute("aria-label");
    await chart(page, "Writes and reads a second").waitFor();
    let isOn = true;
    const writing = (async () => {
      for (let number = 0; isOn; number += 1)
        await put(follower.url, "/rate", { value: String(number) });
    })();
    try {
      await until("writes are drawn", async () =>
        /writes [1-9]/.test(await said("Writes and reads a second")),
      );
      await until("latencies are drawn", async () =>
        /p50 [\d.]+ (µs|ms|s), at most/.test(await said("Write latency")),
      );
      await until("syncs are drawn", async () =>
        /p99 [\d.]+ (µs|ms|s)/.test(await said("Disk sync")),
      );
      await until("memory is drawn", async () => /resident [\d.]+ MB/.test(await said("Memory")));
    } finally {
      isOn = false;
      await writing;
    }
    const abort = new AbortController();
    // An answer that nobody holds is collected, and its connection is closed with it.
    const watch = await fetch(`${follower.url}/v2/keys/rate?wait=true&stream=true`, {
      signal: abort.signal,
    });
    const reading = watch.text().catch(() => {});
    await until("a watcher is drawn", async () =>
      /watchers [1-9]/.test(await said("Watchers and connections")),
    );
    abort.abort();
    await reading;
    await page.it.getByText("Operation counters").click();
    const sets = (await ask(follower.url, "GET", "/v2/stats/store")).json.setsSuccess;
    await page.it.getByRole("row", { name: `Set ${sets.toLocaleString("en")} ` }).waitFor();
  });

  await check(
    "cluster: charts have their history at once, without what the page asks",
    async (open) => {
      const page = await open(follower.url);
      await page.go("cluster");
      await chart(page, "Writes and reads a second").waitFor();
      const label = await chart(page, "Writes and reads a second").getAttribute("aria-label");
      ensure(
        /writes .*at most [1-9]/.test(label),
        `what was written before the page came: ${label}`,
      );
      // The page asks all the time, and nobody else reads.
      await sleep(11_000);
      const { json } = await ask(follower.url, "GET", "/v2/stats/history");
      const at = json.columns.indexOf("reads");
      const last = json.fine.rows.at(-1);
      ensure(last[at] < 0.5, `reads of the page are not counted: ${last[at]}`);
    },
  );

  await check("cluster: a chart is read by the keyboard, and goes with the theme", async (open) => {
    const page = await open(follower.url);
    await page.go("cluster");
    const one = chart(page, "Memory");
    await one.locator("canvas").waitFor();
    await one.focus();
    for (let step = 0; step < 3; step += 1) await page.it.keyboard.press("ArrowLeft");
    await one.locator(".tip").getByText(/MB/).waitFor();
    const before = await one.locator("canvas").evaluate((canvas) => canvas.toDataURL());
    await page.it.emulateMedia({ colorScheme: "dark" });
    await until(
      "it is drawn anew",
      async () => (await one.locator("canvas").evaluate((canvas) => canvas.toDataURL())) !== before,
    );
    await page.it.getByLabel("1 hour").check();
    await page.it.getByRole("img", { name: /^Memory, the last hour:/ }).waitFor();
    const wide = (await one.locator("canvas").boundingBox()).width;
    await page.it.setViewportSize({ width: 390, height: 844 });
    await until(
      "it fits",
      async () =>
        (
          await page.it
            .getByRole("img", { name: /^Memory/ })
            .locator("canvas")
            .boundingBox()
        ).width !== wide,
    );
    await until("the page is as wide as the window", async () => !(await page.isTooWide()));
  });
}

/** Each answer of the API comes three seconds late. */
async function slow(page) {
  await page.it.route(/\/(v2|readyz)/, async (route) => {
    await sleep(3000);
    await route.continue().catch(() => {});
  });
}

async function slowChecks(check, leader) {
  await check("cluster: a slow server leaves no view blank, and nothing jumps", async (open) => {
    for (const view of ["cluster", "locks", "people"]) {
      const page = await open(leader.url);
      await slow(page);
      await page.go(view);
      await page.it.locator('#view [aria-busy="true"]').first().waitFor();
      same(await page.faults(), [], `${view} while it waits`);
      const first = page.it.locator("#view section").first();
      const before = await first.boundingBox();
      await until(
        "all has come",
        async () => (await page.it.locator('#view [aria-busy="true"]').count()) === 0,
      );
      if (view === "cluster") {
        const after = await first.boundingBox();
        ensure(
          Math.abs(after.height - before.height) < 40,
          `heights: ${before.height}, ${after.height}`,
        );
      }
      same(await page.faults(), [], `${view} when all has come`);
    }
  });
}

async function configChecks(check, cluster, leader, follower) {
  await check("cluster: the configuration is edited", async (open) => {
    const page = await open(follower.url);
    await page.go("cluster");
    await page.get("spinbutton", /activeSize/).fill("2");
    await page.seen("At least 3.");
    ensure(await page.get("button", "Save").isDisabled(), "what is not valid is not saved");
    await page.get("spinbutton", /activeSize/).fill("3");
    await page.get("spinbutton", /syncInterval/).fill("1");
    await page.press("Save");
    await page.seen("Configuration saved.");
    const config = (await ask(leader.url, "GET", "/v2/admin/config")).json;
    same(
      [config.activeSize, config.syncInterval, config.removeDelay],
      [3, 1, 1800],
      "the configuration",
    );
  });

  await check(
    "cluster: what others changed in the configuration is not overwritten",
    async (open) => {
      const { url } = follower;
      const config = { activeSize: 3, removeDelay: 1800, syncInterval: 1 };
      const set = async (changes) => {
        const answer = await ask(
          url,
          "PUT",
          "/v2/admin/config",
          JSON.stringify({ ...config, ...changes }),
        );
        same(answer.status, 200, "the configuration is set");
      };
      const kept = async () => (await ask(url, "GET", "/v2/admin/config")).json;
      await set({});
      const page = await open(url);
      await page.go("cluster");
      await page.get("spinbutton", /removeDelay/).fill("900");
      await set({ syncInterval: 2 });
      await page.press("Save");
      await page.seen("Configuration saved.");
      same(await kept(), { ...config, syncInterval: 2, removeDelay: 900 }, "both changes");
      await page.get("spinbutton", /removeDelay/).fill("800");
      await set({ syncInterval: 2, removeDelay: 1000 });
      await page.press("Save");
      const conflict = page.it
        .getByRole("alert")
        .filter({ hasText: "somebody else has changed the configuration" });
      await conflict.getByRole("row", { name: "removeDelay 800 1000" }).waitFor();
      same((await kept()).removeDelay, 1000, "what the other saved");
      same(await page.faults(), [], "a conflict");
      await page.press("Replace theirs");
      await until("it is saved knowingly", async () => (await kept()).removeDelay === 800);
      await page.get("spinbutton", /removeDelay/).fill("700");
      await set({});
      await page.press("Save");
      await page.press("Take theirs");
      same(
        await page.get("spinbutton", /removeDelay/).inputValue(),
        "1800",
        "what the other saved",
      );
      page.problems = page.problems.filter((problem) => !problem.includes("status of 412"));
    },
  );

  await check("cluster: what was typed into the configuration is asked about", async (open) => {
    const page = await open(follower.url);
    await page.go("cluster");
    await page.get("spinbutton", /removeDelay/).fill("777");
    await page.get("link", "Locks").click();
    await page.get("dialog", "Discard what you typed?").waitFor();
    await page.press("Continue editing");
    same(await page.get("spinbutton", /removeDelay/).inputValue(), "777", "what was typed");
    await page.get("spinbutton", /removeDelay/).fill("1800");
    await page.get("link", "Locks").click();
    await page.get("heading", /^Locks/).waitFor();
  });
}

async function actionChecks(check, cluster, leader, follower) {
  await check("cluster: how to add and to replace a machine", async (open) => {
    const page = await open(leader.url);
    await page.go("cluster");
    await machines(page).getByText("m3").first().waitFor();
    await page.press("Add a machine");
    const add = page.get("dialog", "Add a machine");
    const command = await add.locator("pre").innerText();
    for (const word of ["-name m4", "-data-dir", "-addr", "-peer-addr", "-peers"])
      ensure(command.includes(word), `${word} in ${command}`);
    for (const { peer } of cluster.machines)
      ensure(command.includes(`127.0.0.1:${peer}`), `the peer ${peer} in ${command}`);
    same(await page.faults(), [], "how to add a machine");
    await page.it.keyboard.press("Escape");
    await (await itemOf(page, follower.name, "Replace...")).click();
    const guide = page.get("dialog", `Replace ${follower.name}`);
    const text = await guide.innerText();
    for (const word of ["-force-rejoin", "stead status", "-XDELETE", `-name ${follower.name}`])
      ensure(text.includes(word), `${word} in ${text}`);
    ensure(
      !text.split("-force-rejoin")[0].includes(`-peers 127.0.0.1:${follower.peer}`),
      "it does not ask itself",
    );
    same(await page.faults(), [], "how to replace a machine");
    await page.press("Close");
  });

  await check("cluster: leadership is moved, and moved back, by the keyboard", async (open) => {
    const other = await open(follower.url);
    await other.go("cluster");
    const refused = await itemOf(other, follower.name, /^Move leadership here/);
    ensure(
      (await refused.innerText()).includes(`use the dashboard of ${leader.name}`),
      "why not from here",
    );
    await other.it.keyboard.press("Escape");
    const page = await open(leader.url);
    await page.go("cluster");
    const button = page.get("button", `Actions for ${follower.name}`);
    await button.focus();
    await page.it.keyboard.press("Enter");
    await page.it.keyboard.press("m");
    await page.it.keyboard.press("Enter");
    await page.get("dialog", `Move leadership to ${follower.name}?`).waitFor();
    await page.press("Move leadership");
    await page.seen(`${follower.name} leads.`);
    await until("it leads", async () =>
      (await rowOf(page, follower.name).innerText()).includes("leader"),
    );
    await until("the other page knows", async () =>
      (await rowOf(other, follower.name).innerText()).includes("leader"),
    );
    await (await itemOf(other, leader.name, "Move leadership here")).click();
    await other.press("Move leadership");
    await until("it is as before", async () => (await cluster.leader()) === leader);
  });

  await check(
    "cluster: a standby is shown, a machine is removed, the standby takes its place",
    async (open) => {
      await cluster.start();
      const page = await open(leader.url);
      await page.go("cluster");
      const standby = machines(page).locator("tr").filter({ hasText: "m4" });
      await until("the standby is shown", async () =>
        (await standby.innerText()).includes("standby"),
      );
      const victim = cluster.machines.find(
        (machine) => machine !== leader && machine !== follower && machine.name !== "m4",
      );
      await (await itemOf(page, victim.name, "Remove...")).click();
      const dialog = page.get("dialog", `Remove ${victim.name}?`);
      const said = await dialog.innerText();
      for (const word of [
        "Its data stays on its disk",
        "becomes a standby",
        "2 voting members, of which 2 are needed",
      ])
        ensure(said.includes(word), `${word} in ${said}`);
      await dialog.getByRole("button", { name: "Remove" }).click();
      await dialog.getByRole("alert").getByText(`Type ${victim.name} to confirm.`).waitFor();
      same(
        (await ask(leader.url, "GET", "/v2/stats/cluster")).json.members.length,
        3,
        "it wants the name first",
      );
      await page.it.getByLabel(`Type ${victim.name} to confirm`).fill(victim.name);
      await dialog.getByRole("button", { name: "Remove" }).click();
      await page.seen(`${victim.name} was removed.`);
      await until("there are three members and a standby again", async () => {
        const { json } = await ask(leader.url, "GET", "/v2/stats/cluster");
        return (
          json.members.length === 3 &&
          json.standbys?.length === 1 &&
          json.members.every((one) => one.voter && one.clientURL)
        );
      });
      await until(
        "the page says so",
        async () => (await machines(page).getByText("standby", { exact: true }).count()) === 1,
      );
    },
  );
}

export async function clusterChecks(check, cluster) {
  const leader = await cluster.leader();
  const follower = cluster.machines.find((machine) => machine !== leader);
  await machineChecks(check, cluster, leader, follower);
  await chartChecks(check, cluster, leader, follower);
  await slowChecks(check, leader);
  await configChecks(check, cluster, leader, follower);
  await actionChecks(check, cluster, leader, follower);
}
