// Servers, pages, and the counting of checks.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, openSync, rmSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const PATIENCE = 20_000;
/** A busy machine must not change the leader in the middle of a check. */
const CALM = ["-peer-heartbeat-interval", "100", "-peer-election-timeout", "2000"];
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export function sleep(ms) {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/**
 * Writes a text in the place of what is in an editor. That is deleted first: where coloured text is
 * replaced at once, Chromium tries to keep its colour by a style of its own, which the policy
 * forbids, and says so.
 */
export async function rewrite(field, text) {
  await field.press("Control+a");
  await field.press("Backspace");
  await field.fill(text);
}

/** The browser reports every answer above 399 by itself: those with these statuses are expected. */
export function allow(page, ...statuses) {
  page.problems = page.problems.filter(
    (problem) => !statuses.some((status) => problem.includes(`status of ${status}`)),
  );
}

/** Waits until `condition` gives something true, and gives that. */
export async function until(what, condition, ms = PATIENCE) {
  const end = Date.now() + ms;
  let last;
  while (Date.now() < end) {
    try {
      const found = await condition();
      if (found) return found;
      last = found;
    } catch (error) {
      last = error;
    }
    await sleep(50);
  }
  throw new Error(`${what} did not happen within ${ms / 1000} s: ${last}`);
}

export function ensure(truth, sentence) {
  if (!truth) throw new Error(sentence);
}

export function same(got, want, what) {
  ensure(
    JSON.stringify(got) === JSON.stringify(want),
    `${what}: ${JSON.stringify(got)} and not ${JSON.stringify(want)}`,
  );
}

/** Ports below those that the system gives to clients. */
async function freePort() {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 16_000);
    const isFree = await new Promise((resolve) => {
      const server = net.createServer().once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });

/**
 * Sends a request to a server, as a user if there is one ("name:password"), and gives the status
 * and the JSON or text of its answer. A form that is a string is sent as it is.
 */
export function ask(base, method, where, form, user) {
  return new Promise((resolve, reject) => {
    const headers = form ? { "Content-Type": "application/x-www-form-urlencoded" } : {};
    if (user) headers.Authorization = `Basic ${Buffer.from(user).toString("base64")}`;
    const request = http.request(
      base + where,
      { method, agent, headers, timeout: 15_000 },
      (answer) => {
        let text = "";
        answer.on("data", (part) => {
          text += part;
        });
        answer.on("end", () => {
          let json = null;
          try {
            json = JSON.parse(text);
          } catch {
            // Not everything is JSON.
          }
          resolve({ status: answer.statusCode, text, json, headers: answer.headers });
        });
      },
    );
    request.on("timeout", () => request.destroy(new Error(`${where} was not answered`)));
    request.on("error", reject);
    const isText = form === undefined || typeof form === "string";
    request.end(isText ? form : new URLSearchParams(form).toString());
  });
}

export async function put(base, key, form) {
  const answer = await ask(base, "PUT", `/v2/keys${key}`, form);
  ensure(answer.status < 300, `PUT ${key}: ${answer.text}`);
  return answer.json;
}

/** Machines of one cluster, in a directory of their own. */
export class Cluster {
  machines = [];
  #dir = mkdtempSync(path.join(process.env.TMPDIR ?? tmpdir(), "stead-dashboard-"));

  async start(flags = []) {
    const number = this.machines.length + 1;
    const [port, peer] = [await freePort(), await freePort()];
    const seeds = this.machines.length ? ["-peers", `127.0.0.1:${this.machines[0].peer}`] : [];
    const args = [
      "-name",
      `m${number}`,
      "-data-dir",
      path.join(this.#dir, `m${number}`),
      "-addr",
      `127.0.0.1:${port}`,
      "-peer-addr",
      `127.0.0.1:${peer}`,
      ...CALM,
      ...seeds,
      ...flags,
    ];
    const log = openSync(path.join(this.#dir, `m${number}.log`), "a");
    const machine = { name: `m${number}`, url: `http://127.0.0.1:${port}`, peer, isGone: true };
    machine.run = () => {
      machine.child = spawn(process.env.STEAD, args, { stdio: ["ignore", log, log] });
      machine.isGone = false;
      machine.child.once("exit", () => {
        machine.isGone = true;
      });
      return until(
        `${machine.name} starts`,
        async () => (await ask(machine.url, "GET", "/livez")).status === 200,
      );
    };
    this.machines.push(machine);
    await machine.run();
    return machine;
  }

  /** Ends a machine as a failure of power would, and starts it again. */
  async restart(machine) {
    machine.child.kill("SIGKILL");
    await until(`${machine.name} ends`, () => machine.isGone);
    await machine.run();
  }

  async leader() {
    return until("there is a leader", async () => {
      for (const machine of this.machines.filter((one) => !one.isGone)) {
        const { json } = await ask(machine.url, "GET", "/v2/stats/cluster").catch(() => ({}));
        const leader = this.machines.find((one) => one.name === json?.leader && !one.isGone);
        if (leader) return leader;
      }
      return null;
    });
  }

  /** Until all machines vote and have an address. */
  async formed(members) {
    await until("the cluster is formed", async () => {
      const { json } = await ask(this.machines[0].url, "GET", "/v2/stats/cluster");
      return (
        json.members.length === members &&
        json.members.every((one) => one.voter && one.clientURL && one.version)
      );
    });
  }

  async stop() {
    for (const machine of this.machines) machine.child.kill("SIGKILL");
    await until("the machines end", () => this.machines.every((machine) => machine.isGone));
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** Runs something with a machine that is a cluster of its own. */
export async function alone(flags, run) {
  const cluster = new Cluster();
  try {
    await run(await cluster.start(flags));
  } finally {
    await cluster.stop();
  }
}

/**
 * A way to a server that can be shut, or on which each answer takes `delay` milliseconds longer.
 */
export class Relay {
  #server;
  #sockets = new Set();
  #port;
  #target;
  #isHeld = false;
  #delay = 0;

  static async to(url, { delay = 0 } = {}) {
    const relay = new Relay();
    relay.#delay = delay;
    relay.#target = Number(new URL(url).port);
    relay.#port = await freePort();
    relay.url = `http://127.0.0.1:${relay.#port}`;
    await relay.open();
    return relay;
  }

  open() {
    this.#isHeld = false;
    this.#server = net.createServer((socket) => {
      const other = net.connect(this.#target, "127.0.0.1");
      for (const [one, to] of [
        [socket, other],
        [other, socket],
      ]) {
        this.#sockets.add(one);
        const pass = (part) => {
          if (!this.#isHeld && !to.destroyed) to.write(part);
        };
        const isAnswer = one === other && this.#delay > 0;
        one.on(
          "data",
          isAnswer
            ? (part) => {
                setTimeout(pass, this.#delay, part);
              }
            : pass,
        );
        one.on("error", () => {});
        one.on("close", () => {
          this.#sockets.delete(one);
          to.destroy();
        });
      }
    });
    return new Promise((resolve) => {
      this.#server.listen(this.#port, "127.0.0.1", resolve);
    });
  }

  /** Lets nothing more through, without closing anything. */
  hold() {
    this.#isHeld = true;
  }

  /** Breaks the connections; new ones can be made. */
  cut() {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Breaks the connections, and refuses new ones. */
  close() {
    this.#server.close();
    this.cut();
  }
}

const IMAGES = fileURLToPath(new URL("../../docs/images/", import.meta.url));

/** Takes a picture for the documentation, if pictures are taken. */
export async function picture(page, name) {
  if (!process.argv.includes("--screenshots")) return;
  await until(
    "nothing loads",
    async () => (await page.it.locator("[aria-busy=true]").count()) === 0,
  );
  await sleep(500);
  await page.it.screenshot({ path: `${IMAGES}${name}.png` });
}

/** A browser's page that notes what must not be. */
export class Page {
  static #browser;
  problems = [];

  static async open(base, { dark = false, phone = false, ...more } = {}) {
    Page.#browser ??= await chromium.launch({
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: ["--no-sandbox"],
    });
    const page = new Page();
    page.base = base;
    page.context = await Page.#browser.newContext({
      colorScheme: dark ? "dark" : "light",
      viewport: phone ? { width: 390, height: 844 } : { width: 1280, height: 900 },
      ...more,
    });
    page.it = await page.context.newPage();
    page.it.setDefaultTimeout(PATIENCE);
    if (process.env.DASHBOARD) await page.#serve(process.env.DASHBOARD);
    page.it.on("console", (message) => {
      const { url, lineNumber, columnNumber } = message.location();
      const where = /status of|net::/.test(message.text())
        ? ""
        : ` (${url}:${lineNumber}:${columnNumber})`;
      page.problems.push(`console: ${message.text()}${where}`);
    });
    page.it.on("pageerror", (error) => page.problems.push(`error: ${error.message}`));
    page.it.on("request", (request) => {
      if (!request.url().startsWith(`${base}/`))
        page.problems.push(`another host: ${request.url()}`);
    });
    return page;
  }

  /** Has the page's files come from a folder, with the headers of the server's own. */
  async #serve(dir) {
    const kinds = { html: "text/html", js: "text/javascript", css: "text/css" };
    const { headers } = await ask(this.base, "GET", "/mod/dashboard/");
    await this.it.route(/\/mod\/dashboard\/[^/]*$/, (route) => {
      const name = new URL(route.request().url()).pathname.split("/").pop() || "index.html";
      const file = path.join(dir, name);
      if (!existsSync(file)) return route.fallback();
      const contentType = kinds[path.extname(file).slice(1)] ?? "image/svg+xml";
      const policy = { "Content-Security-Policy": headers["content-security-policy"] };
      return route.fulfill({ body: readFileSync(file), contentType, headers: policy });
    });
  }

  static async closeAll() {
    await Page.#browser?.close();
  }

  async go(view) {
    await this.it.goto(`${this.base}/mod/dashboard/#/${view}`);
    await this.it.locator("#view > *").waitFor();
  }

  get(role, name) {
    return this.it.getByRole(role, typeof name === "string" ? { name, exact: true } : { name });
  }

  async press(name) {
    await this.get("button", name).click();
  }

  async seen(text) {
    await this.it.getByText(text).first().waitFor();
  }

  /**
   * What axe-core finds wrong. It would write style elements, which the policy forbids, to read
   * the rules of style sheets, which no rule here needs.
   */
  async faults() {
    await this.it.evaluate(AXE);
    const { violations } = await this.it.evaluate(() =>
      window.axe.run(document, { preload: false }),
    );
    return violations.map(
      (one) =>
        `${one.id}: ${one.help} (${one.nodes.map((node) => node.target.join(" ")).join("; ")})`,
    );
  }

  /** Whether the page is wider than the window. */
  isTooWide() {
    return this.it.evaluate(
      () => document.documentElement.scrollWidth > document.documentElement.clientWidth,
    );
  }

  async close() {
    await this.context.close();
    same(this.problems, [], "what the browser had to say");
  }
}

const results = { passed: 0, failed: 0 };

/** One check: it is counted, and those after it run even if it fails. */
export async function check(name, run) {
  const words = process.argv.slice(2).filter((word) => !word.startsWith("--"));
  if (words.length && !words.some((word) => name.includes(word))) return;
  const pages = [];
  try {
    await run(async (...args) => {
      const page = await Page.open(...args);
      pages.push(page);
      return page;
    });
    for (const page of pages) await page.close();
    results.passed += 1;
    console.log(`ok    ${name}`);
  } catch (error) {
    results.failed += 1;
    console.log(`FAIL  ${name}: ${error.stack}`);
    for (const page of pages) {
      if (page.problems.length) console.log(`      the browser said: ${page.problems.join(" | ")}`);
      await page.context.close().catch(() => {});
    }
  }
}

/** Prints the sum; gives the exit code. */
export function sum() {
  const { passed, failed } = results;
  console.log(`dashboard: ${passed} checks passed, ${failed} failed`);
  return failed || !passed ? 1 : 0;
}
