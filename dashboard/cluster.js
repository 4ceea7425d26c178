// The cluster: its machines, the leader's calls, rates, configuration, removal.

import { call, callText } from "./api.js";
import { LineChart } from "./chart.js";
import { confirmed, count, duration, h, say, sayError, Table, time } from "./dom.js";

const FIELDS = [
  ["activeSize", "Maximum number of voting members", "", 3, 1],
  ["removeDelay", "Remove a silent member after", " (s)", 2, "any"],
  ["syncInterval", "Standby check interval", " (s)", 1, "any"],
];

const COUNTERS = [
  ["Set", "sets"], ["Create", "create"], ["Update", "update"], ["Delete", "delete"],
  ["Compare and swap", "compareAndSwap"], ["Compare and delete", "compareAndDelete"], ["Get (this machine)", "gets"],
];

function linkTo(url, text) {
  return url ? h("a", { href: `${url}/mod/dashboard/`, rel: "noreferrer", "data-focus": `to ${url}` }, text) : text;
}

class Cluster {
  #context;
  #facts = h("dl", { class: "facts" });
  #members;
  #membersNote = h("p", { class: "note", hidden: true });
  #latencies = new Table("Latency of each follower, in milliseconds",
    ["Follower", "Current", "Average", "Deviation", "Minimum", "Maximum", "Answered", "Failed"], "No followers.");
  #latenciesNote = h("p", { class: "note" });
  #latencyChart = new LineChart("Leader's latency to each follower", "ms");
  #requests = new LineChart("HTTP requests to this machine", "per s");
  #operations = new LineChart("Operations on keys", "per s");
  #watchers = new LineChart("Watchers on this machine");
  #counters = new Table("Operations since creation", ["Operation", "Done", "Failed"]);
  #config = h("div", {});
  #before = null;
  #drawn = "";
  #last = null;
  #save = null;

  constructor(context) {
    this.#context = context;
    const heads = ["Name", "Role", "Applied", "Lag", "Version", "Uptime", "Addresses"];
    if (!context.settings.readOnly) heads.push("Action");
    this.#members = new Table("Machines of the cluster", heads, "No machines.");
    this.#latencyChart.element.hidden = true;
    this.#latencies.element.hidden = true;
    const part = (id, title, ...body) => h("section", { class: "card", "aria-labelledby": id }, h("h2", { id }, title), ...body);
    this.element = h("div", { class: "page" },
      part("c-members", "Machines", this.#facts, this.#members.element, this.#membersNote),
      part("c-latency", "Replication latency", this.#latencyChart.element, this.#latencies.element, this.#latenciesNote),
      part("c-rates", "Activity", h("div", { class: "charts" }, this.#requests.element, this.#operations.element, this.#watchers.element)),
      part("c-store", "Operation counters", this.#counters.element),
      part("c-config", "Configuration", this.#config));
  }

  start() {
    this.#context.every(1, (signal) => this.#look(signal));
    this.#loadConfig().catch(sayError);
  }

  async #look(signal) {
    const [cluster, store, metrics] = await Promise.all([
      call("/v2/stats/cluster", { signal }), call("/v2/stats/store", { signal }),
      this.#context.settings.metrics ? callText("/metrics", { signal }) : "",
    ]);
    this.#showFacts(cluster);
    this.#showMembers(cluster);
    this.#showRates(store, metrics);
    this.#showCounters(store);
    await this.#showLatencies(cluster, signal);
  }

  /** Shows of when the picture is, and whether anything can be changed. */
  healthSeen({ isSilent, isStuck, at }) {
    const age = `, as they were at ${time(at)}, ${duration((Date.now() - at) / 1000)} ago`;
    this.#members.caption = `Machines of the cluster${isSilent && at ? age : ""}`;
    if (this.#last) this.#showMembers(this.#last);
    if (this.#save) this.#save.disabled = isStuck;
  }

  #showFacts(cluster) {
    const facts = [["Leader", cluster.leader || h("span", { class: "wrong" }, "none")], [`Term of ${cluster.seenBy}`, count(cluster.term)], ["Committed", count(cluster.commitIndex)],
      ["etcd index", count(cluster.etcdIndex)], ["Cluster", cluster.cluster], ["Seen by", cluster.seenBy]];
    this.#facts.replaceChildren(...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
  }

  #showMembers(cluster) {
    this.#last = cluster;
    const { isStuck, isSilent } = this.#context.health;
    const text = JSON.stringify([isStuck, isSilent, cluster.members.map((member) => ({ ...member, uptime: Math.floor((member.uptime ?? 0) / 5) })), cluster.standbys, cluster.term]);
    if (text === this.#drawn) return;
    this.#drawn = text;
    const rows = cluster.members.map((member) => this.#memberRow(member, cluster));
    for (const standby of cluster.standbys ?? []) {
      const cells = [linkTo(standby.clientURL, standby.name), h("span", { class: "role standby" }, "standby"), "", "", "", "", standby.clientURL];
      if (!this.#context.settings.readOnly) cells.push("");
      rows.push(h("tr", {}, ...cells.map((cell) => h("td", {}, cell))));
    }
    this.#members.show(rows);
    this.#membersNote.hidden = cluster.standbys !== null;
    this.#note(this.#membersNote, "Standbys are listed on the leader", cluster);
  }

  /** Says something, and where the leader is; left as it is if it says so already. */
  #note(place, words, cluster) {
    const leader = cluster.members.find((member) => member.name === cluster.leader && member.name !== cluster.seenBy);
    const said = JSON.stringify([words, leader?.name, leader?.clientURL]);
    if (place.dataset.said === said) return;
    place.dataset.said = said;
    place.replaceChildren(words, leader ? h("span", {}, ": ", linkTo(leader.clientURL, leader.name)) : "", ".");
  }

  #memberRow(member, cluster) {
    const { isStuck, isSilent } = this.#context.health;
    const state = member.reachable ? member.state : "unreachable";
    const known = (text) => (member.reachable && !isSilent ? text : "unknown");
    const cells = [
      h("b", {}, member.name === cluster.seenBy ? `${member.name} (this one)` : linkTo(member.clientURL, member.name)),
      h("span", { class: `role ${isSilent ? "" : state}` }, isSilent ? `was ${state}` : state, member.diverged ? ", diverged!" : ""),
      // Of one that is not reachable the last word is no longer true.
      known(count(member.appliedIndex)), known(count(member.lagEntries)),
      member.version || "unknown", known(duration(member.uptime)),
      h("span", { class: "urls" }, member.clientURL || "not announced", h("br"), member.peerURL),
    ];
    if (!this.#context.settings.readOnly) {
      cells.push(h("button", { type: "button", class: "danger small", "data-focus": `remove ${member.name}`, disabled: isStuck, onclick: () => this.#remove(member) },
        `Remove ${member.name}`));
    }
    return h("tr", {}, ...cells.map((cell) => h("td", {}, cell)));
  }

  async #remove(member) {
    const text = `${member.name} leaves the cluster and becomes a standby. You can remove a machine that is down. The server refuses a removal that would cost the majority.`;
    if (!await confirmed(`Remove ${member.name}?`, text, "Remove", member.name)) return;
    try {
      await call(`/v2/admin/machines/${encodeURIComponent(member.name)}`, { method: "DELETE" });
      say(`${member.name} was removed.`);
    } catch (error) {
      sayError(error);
    }
  }

  async #showLatencies(cluster, signal) {
    const isLeader = cluster.leader === cluster.seenBy;
    this.#latenciesNote.hidden = isLeader;
    if (!isLeader) {
      this.#latencyChart.element.hidden = true;
      this.#latencies.element.hidden = true;
      this.#note(this.#latenciesNote, cluster.leader ? "Latencies are shown on the leader" : "No leader", cluster);
      return;
    }
    const stats = await call("/v2/stats/leader", { signal }).catch(() => null);
    if (!stats) return;
    this.#latencyChart.element.hidden = false;
    this.#latencies.element.hidden = false;
    const followers = Object.entries(stats.followers);
    this.#latencyChart.push(performance.now() / 1000, Object.fromEntries(followers.map(([name, { latency, counts }]) => [name, counts.success ? latency.current : null])));
    const ms = (value) => value.toFixed(3);
    const rows = followers.map(([name, { latency, counts }]) => h("tr", {}, ...[h("b", {}, name), ms(latency.current), ms(latency.average),
      ms(latency.standardDeviation), ms(latency.minimum), ms(latency.maximum), count(counts.success), count(counts.fail)].map((cell) => h("td", {}, cell))));
    this.#latencies.show(rows);
  }

  #showRates(store, metrics) {
    const now = performance.now() / 1000;
    const sum = (names, end) => names.reduce((all, name) => all + store[`${name}${end}`], 0);
    const seen = {
      now,
      reads: sum(["gets"], "Success") + sum(["gets"], "Fail"),
      writes: ["Success", "Fail"].reduce((all, end) => all + sum(["sets", "create", "update", "delete", "compareAndSwap", "compareAndDelete"], end), 0),
      expired: store.expireCount,
      methods: Object.fromEntries([...metrics.matchAll(/^etcd_http_received_total\{method="(\w+)"\} (\d+)/gm)]
        .map(([, method, number]) => [method, Number(number)]).filter(([, number]) => number > 0)),
    };
    const before = this.#before;
    this.#before = seen;
    this.#watchers.push(now, { watchers: store.watchers });
    if (!before) return;
    const rate = (one, other) => Math.max(0, (one - other) / (now - before.now));
    this.#operations.push(now, { reads: rate(seen.reads, before.reads), writes: rate(seen.writes, before.writes), expiries: rate(seen.expired, before.expired) });
    this.#requests.push(now, Object.fromEntries(Object.entries(seen.methods).map(([method, number]) => [method, rate(number, before.methods[method] ?? 0)])));
  }

  #showCounters(store) {
    const rows = COUNTERS.map(([name, key]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, count(store[`${key}Success`])), h("td", {}, count(store[`${key}Fail`]))));
    rows.push(h("tr", {}, h("th", { scope: "row" }, "Expired"), h("td", {}, count(store.expireCount)), h("td", {}, "")));
    this.#counters.show(rows);
  }

  async #loadConfig() {
    const config = await call("/v2/admin/config", { signal: this.#context.signal });
    const inputs = {};
    const fields = FIELDS.map(([name, text, unit, min, step]) => {
      inputs[name] = h("input", { type: "number", name, min, step, required: true, value: config[name], disabled: this.#context.settings.readOnly });
      return h("label", { class: "field" }, h("span", {}, `${name}: ${text}${unit}`), inputs[name]);
    });
    const save = (event) => {
      event.preventDefault();
      this.#saveConfig(config, inputs).catch(sayError);
    };
    const { settings, health } = this.#context;
    this.#save = !settings.readOnly
      && h("button", { type: "submit", disabled: health.isStuck }, "Save");
    this.#config.replaceChildren(h("form", { class: "config", onsubmit: save }, ...fields,
      !this.#context.settings.readOnly && h("div", { class: "buttons" }, this.#save)));
  }

  /**
   * Saves what was typed, unless somebody else has changed that since `config` was read, which is
   * told first.
   */
  async #saveConfig(config, inputs) {
    const now = await call("/v2/admin/config", { signal: this.#context.signal });
    const overtaken = [];
    for (const [name] of FIELDS) {
      const typed = Number(inputs[name].value);
      const isOurs = typed !== config[name];
      if (isOurs && now[name] !== config[name] && now[name] !== typed) {
        overtaken.push(`${name} is ${now[name]} by now`);
      }
      if (!isOurs) inputs[name].value = now[name];
      config[name] = now[name];
    }
    if (overtaken.length) {
      throw new Error(`Not saved: somebody else has changed the configuration. ${overtaken.join(", ")}. `
        + "Save again to replace that with what you typed.");
    }
    const json = Object.fromEntries(FIELDS.map(([name]) => [name, Number(inputs[name].value)]));
    const kept = await call("/v2/admin/config", { method: "PUT", json });
    for (const [name] of FIELDS) inputs[name].value = config[name] = kept[name];
    say("Configuration saved.");
  }
}

export function clusterView(context) {
  const cluster = new Cluster(context);
  // What it reads is open to everybody, and what is being typed into it stays.
  return { element: cluster.element, start: () => cluster.start(),
    healthSeen: (health) => cluster.healthSeen(health), isOpenToAll: true };
}
