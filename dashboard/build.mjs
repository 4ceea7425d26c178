// Builds `dist/`, which the server embeds: one script, one style sheet, and the editor apart, which
// is fetched when a value is first edited. `dist/` is in the repository so that `cargo build` needs
// no Node.js. With `--check` it fails where `dist/` is not what the sources give.

import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const DIST = path.join(HERE, "dist");
/** All files together, compressed. */
const BYTES_MAX = 250_000;

const COMMON = {
  absWorkingDir: HERE,
  bundle: true,
  charset: "ascii",
  format: "esm",
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  logLevel: "warning",
  metafile: true,
  minify: true,
  target: ["chrome100", "firefox100", "safari15.4"],
  write: false,
};

/** The packages that a bundle holds code of. */
function packagesIn({ inputs }) {
  const found = new Set();
  for (const name of Object.keys(inputs)) {
    const match = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(name);
    if (match) found.add(match[1]);
  }
  return found;
}

function licences(packages) {
  const parts = [...packages].sort().map((name) => {
    const dir = path.join(HERE, "node_modules", name);
    const { version, license } = JSON.parse(readFileSync(path.join(dir, "package.json"), "utf8"));
    const file = readdirSync(dir).find((one) => /^licen[cs]e/i.test(one));
    if (!file) throw new Error(`${name} has no licence text`);
    const text = readFileSync(path.join(dir, file), "utf8").trim();
    return `${name} ${version} (${license})\n\n${text}\n`;
  });
  return `Third-party code in the dashboard\n\n${parts.join(`\n${"-".repeat(72)}\n\n`)}`;
}

async function files() {
  const made = new Map();
  const packages = new Set();
  // What another bundle holds is fetched by its name.
  const bundles = [
    { entryPoints: { app: "src/main.jsx" }, external: ["./editor.js"] },
    { entryPoints: { editor: "src/editor/editor.js" } },
  ];
  for (const bundle of bundles) {
    const { outputFiles, metafile } = await build({ ...COMMON, ...bundle, outdir: "dist" });
    for (const file of outputFiles) made.set(path.basename(file.path), Buffer.from(file.contents));
    for (const name of packagesIn(metafile)) packages.add(name);
  }
  for (const name of ["index.html", "icon.svg"])
    made.set(name, readFileSync(path.join(HERE, "src", name)));
  made.set("licenses.txt", Buffer.from(licences(packages)));
  return made;
}

function sizes(made) {
  let whole = 0;
  for (const [name, bytes] of made) {
    const compressed = gzipSync(bytes).length;
    whole += compressed;
    console.log(
      `${name.padEnd(14)} ${String(bytes.length).padStart(8)} ${String(compressed).padStart(8)}`,
    );
  }
  console.log(`${"compressed".padEnd(23)} ${String(whole).padStart(8)}`);
  if (whole > BYTES_MAX) throw new Error(`the dashboard is larger than ${BYTES_MAX} bytes`);
}

function differences(made) {
  const there = readdirSync(DIST);
  const digest = (bytes) => createHash("sha256").update(bytes).digest("hex");
  const isSame = (name) =>
    there.includes(name) && digest(readFileSync(path.join(DIST, name))) === digest(made.get(name));
  return [
    ...[...made.keys()].filter((name) => !isSame(name)),
    ...there.filter((name) => !made.has(name)),
  ];
}

const made = await files();
sizes(made);
if (process.argv.includes("--check")) {
  const different = differences(made);
  if (different.length) throw new Error(`not built from the sources: ${different.join(", ")}`);
} else {
  rmSync(DIST, { recursive: true, force: true });
  mkdirSync(DIST);
  for (const [name, bytes] of made) writeFileSync(path.join(DIST, name), bytes);
}
