// All checks of the dashboard, in order, and the pictures for the documentation.

import { check, Cluster, Page, sum } from "./kit.mjs";
import { clusterChecks, failureChecks } from "./cluster.mjs";
import { faultsChecks } from "./faults.mjs";
import { keysChecks } from "./keys.mjs";
import { locksChecks } from "./locks.mjs";
import { loginChecks } from "./login.mjs";
import { lookChecks } from "./looks.mjs";
import { modeChecks } from "./modes.mjs";
import { outagesChecks } from "./outages.mjs";

let code = 1;
const cluster = new Cluster();
try {
  for (let number = 0; number < 3; number += 1) await cluster.start();
  await cluster.formed(3);
  await keysChecks(check, cluster);
  await locksChecks(check, cluster);
  await clusterChecks(check, cluster);
  await lookChecks(check, cluster, process.argv.includes("--screenshots"));
  await failureChecks(check, cluster);
  await faultsChecks(check);
  await outagesChecks(check);
  await modeChecks(check);
  await loginChecks(check);
  code = sum();
} finally {
  await Page.closeAll();
  await cluster.stop();
}
process.exit(code);
