// Whether the machine behind the page answers, and whether its cluster can write: looked at now and
// again whatever is shown, and told of above every view.

import { call } from "./api.js";
import { duration, h, time, visible } from "./dom.js";

const SECONDS = 2;
const PATIENCE_MS = 5000;
/** An event has come by then, if there was one. */
const EVENT_MS = 3000;

export class Health {
  #place;
  #onLook;
  #timer = 0;
  #round = 0;
  /** The last answer, and when it came in milliseconds. */
  cluster = null;
  at = 0;
  isSilent = false;
  /** Indexes that were seen, with when, the newest last. */
  #indexes = [];

  /** `place` is where it is told of; `onLook` is called after each look. */
  constructor(place, onLook) {
    this.#place = place;
    this.#onLook = onLook;
  }

  /** Whether there is nobody to make a change. */
  get isStuck() {
    return this.isSilent || this.cluster?.leader === "";
  }

  /** An index whose events have come on a connection that is there since then, 0 if unknown. */
  passed(since) {
    const now = performance.now();
    return this.#indexes.findLast(([at]) => at > since && at < now - EVENT_MS)?.[1] ?? 0;
  }

  /** Looks now, and again from then on. */
  async look() {
    clearTimeout(this.#timer);
    this.#round += 1;
    const round = this.#round;
    if (!document.hidden) {
      const signal = AbortSignal.timeout(PATIENCE_MS);
      const cluster = await call("/v2/stats/cluster", { as: null, signal }).catch(() => null);
      if (round !== this.#round) return;
      this.isSilent = cluster === null;
      if (cluster) {
        [this.cluster, this.at] = [cluster, Date.now()];
        this.#indexes = [...this.#indexes.slice(-9), [performance.now(), cluster.etcdIndex]];
      }
      this.#tell();
      this.#onLook(this);
    }
    this.#timer = setTimeout(() => this.look(), SECONDS * 1000);
  }

  #tell() {
    const words = this.isSilent ? this.#silence() : this.#leaderless();
    const said = JSON.stringify(words.map((word) => word.textContent ?? word));
    if (this.#place.dataset.said === said) return;
    this.#place.dataset.said = said;
    this.#place.hidden = words.length === 0;
    this.#place.replaceChildren(...words);
  }

  #silence() {
    const words = ["This server is not responding. Retrying."];
    if (!this.cluster) return words;
    words.push(
      ` What is shown is of ${time(this.at)}, ${duration((Date.now() - this.at) / 1000)} ago.`,
    );
    const { members, seenBy } = this.cluster;
    const others = members.filter((member) => member.name !== seenBy && member.clientURL);
    for (const [at, { name, clientURL }] of others.entries()) {
      words.push(at === 0 ? " Open another machine: " : ", ");
      words.push(h("a", { href: `${clientURL}/mod/dashboard/`, rel: "noreferrer" }, visible(name)));
    }
    return words;
  }

  #leaderless() {
    if (this.cluster.leader) return [];
    const voters = this.cluster.members.filter((member) => member.voter);
    const [here, gone] = [
      voters.filter((one) => one.reachable),
      voters.filter((one) => !one.reachable),
    ];
    const majority = Math.floor(voters.length / 2) + 1;
    if (here.length >= majority)
      return ["No leader: an election is going on, and changes are refused until it is over."];
    const names = gone.map((member) => visible(member.name)).join(", ");
    const missing = majority - here.length;
    const toStart = missing === gone.length ? "them" : `at least ${missing} of them`;
    return [
      `The majority is lost: ${here.length} of ${voters.length} voting members answer, and every ` +
        `change is refused. Not reachable: ${names}. Start ${toStart} again.`,
    ];
  }
}
