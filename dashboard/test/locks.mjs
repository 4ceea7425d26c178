// The view of locks.

import http from "node:http";
import { ask, until } from "./kit.mjs";

export async function locksChecks(check, cluster) {
  const { url } = cluster.machines[1];

  await check("locks: who holds and who waits", async (open) => {
    const page = await open(url);
    await page.go("locks");
    const held = await ask(url, "POST", "/mod/v2/lock/deploy?ttl=600", { value: "alice" });
    // Its connection keeps the place in the queue.
    const waiting = http.request(`${url}/mod/v2/lock/deploy?ttl=600`, { method: "POST", headers: { "Content-Type": "application/x-www-form-urlencoded" } });
    waiting.on("error", () => {});
    waiting.end("value=bob");
    await page.seen("deploy: held by alice, 1 waiting");
    const rows = page.it.locator("tbody tr");
    await until("both are shown", async () => await rows.count() === 2);
    const text = (await rows.nth(0).innerText()) + (await rows.nth(1).innerText());
    for (const word of ["holds", "alice", held.text.trim(), "waiting, position 1", "bob", "min"]) {
      if (!text.includes(word)) throw new Error(`${word} is missing in ${text}`);
    }
    await ask(url, "DELETE", `/mod/v2/lock/deploy?index=${held.text.trim()}`);
    await page.seen("deploy: held by bob, 0 waiting");
    waiting.destroy();
  });
}
