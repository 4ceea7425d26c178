// The dashboard begins here.

import "./look/tokens.css";
import "./look/base.css";
import "./look/parts.css";
import "./look/frame.css";
import { render } from "preact";
import { Shell } from "./parts/shell.jsx";
import { startHealth } from "./state/health.js";
import { startLive } from "./state/live.js";
import { startRoute } from "./state/route.js";
import { counts, startSession } from "./state/session.js";
import { readSettings } from "./state/settings.js";
import { sayError } from "./state/toasts.js";
import { EventsView } from "./views/events/events.jsx";
import { KeysView } from "./views/keys/keys.jsx";
import { LocksView } from "./views/locks/locks.jsx";
import { ClusterView } from "./views/overview/cluster.jsx";
import { PeopleView } from "./views/people/people.jsx";

const VIEWS = [
  { name: "cluster", title: "Cluster", View: ClusterView },
  { name: "keys", title: "Keys", View: KeysView },
  { name: "events", title: "Events", View: EventsView },
  { name: "locks", title: "Locks", View: LocksView },
  { name: "people", title: "People", View: PeopleView, isShown: () => counts.value },
];

startRoute();
startSession();
readSettings().catch(sayError);
startHealth();
startLive();
const app = document.getElementById("app");
app.replaceChildren();
render(<Shell views={VIEWS} />, app);
