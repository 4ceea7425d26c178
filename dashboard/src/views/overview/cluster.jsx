// The view of the cluster: how it is, its machines, what happened in the last hour, its
// configuration.

import "./overview.css";
import { Skeleton } from "../../parts/states.jsx";
import { cluster } from "../../state/health.js";
import { Charts } from "./charts.jsx";
import { Config } from "./config.jsx";
import { Counters } from "./counters.jsx";
import { Machines } from "./machines.jsx";
import { Replication } from "./replication.jsx";
import { Statement } from "./statement.jsx";

export function ClusterView() {
  return (
    <div class="page overview">
      <h1 class="visually-hidden">Cluster</h1>
      <Statement />
      {cluster.value ? (
        <Machines />
      ) : (
        <section class="card waiting">
          <Skeleton lines={4} label="Loading the machines" />
        </section>
      )}
      <Charts />
      <Replication />
      <Counters />
      <Config />
    </div>
  );
}
