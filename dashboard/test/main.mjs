// All checks of the dashboard, in order, and the pictures for the documentation.

import { clusterChecks } from "./cluster.mjs";
import { eventsChecks } from "./events.mjs";
import { failureChecks } from "./failures.mjs";
import { faultsChecks } from "./faults.mjs";
import { frameChecks } from "./frame.mjs";
import { keysChecks } from "./keys.mjs";
import { check, Cluster, Page, sum } from "./kit.mjs";
import { locksChecks } from "./locks.mjs";
import { loginChecks } from "./login.mjs";
import { lookChecks } from "./looks.mjs";
import { modeChecks } from "./modes.mjs";
import { outagesChecks } from "./outages.mjs";
import { peopleChecks } from "./people.mjs";
import { stateChecks } from "./states.mjs";
import { tableChecks } from "./table.mjs";
import { treeChecks } from "./tree.mjs";
import { unitChecks } from "./units.mjs";
import { valueChecks } from "./value.mjs";

let code = 1;
const cluster = new Cluster();
try {
  await unitChecks(check);
  for (let number = 0; number < 3; number += 1) await cluster.start();
  await cluster.formed(3);
  await frameChecks(check, cluster.machines[1]);
  await keysChecks(check, cluster);
  await treeChecks(check);
  await stateChecks(check);
  await tableChecks(check);
  await valueChecks(check, cluster.machines[1]);
  await locksChecks(check, cluster);
  await clusterChecks(check, cluster);
  await lookChecks(check, cluster, process.argv.includes("--screenshots"));
  await failureChecks(check, cluster);
  await faultsChecks(check);
  await outagesChecks(check);
  await eventsChecks(check);
  await modeChecks(check);
  await peopleChecks(check);
  await loginChecks(check);
  code = sum();
} finally {
  await Page.closeAll();
  await cluster.stop();
}
process.exit(code);
