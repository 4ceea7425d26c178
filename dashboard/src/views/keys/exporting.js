// Exporting a directory, or what is chosen in it, as lines of JSON: one node each, as the server
// describes it, which `stead import --from-snapshot` reads too.

import { nameOf } from "../../server/api.js";
import { list, read, walk } from "../../server/keys.js";
import { say } from "../../state/toasts.js";
import { download } from "../../parts/copy.jsx";
import { plural } from "../../parts/words.js";
import { reasonOf, runJob } from "./job.jsx";
import { wayTo } from "./names.js";

/** A node as a line; the key is first, by which such a file is told from others. */
export function lineOf({ key, dir, value, ttl, expiration, modifiedIndex, createdIndex }) {
  const content = dir ? { dir: true } : { value: value ?? "" };
  return `${JSON.stringify({ key, ...content, ttl, expiration, modifiedIndex, createdIndex })}\n`;
}

/** Gathers lines, page by page, in parts that a browser may keep on the disk. */
class Lines {
  parts = [];
  count = 0;

  add(nodes) {
    if (nodes.length === 0) return;
    this.parts.push(new Blob(nodes.map(lineOf)));
    this.count += nodes.length;
  }
}

async function addNode(lines, node, { hidden, signal, update }) {
  if (!node.dir) {
    lines.add([(await read(node.key, { hidden, signal })).node]);
    return;
  }
  // The directory that all of it is in has its line already.
  if (!node.isWay) lines.add([node]);
  await walk(node.key, {
    signal,
    hidden,
    onPage(nodes) {
      lines.add(nodes);
      update(`${plural(lines.count, "node")} so far`);
    },
  });
}

/**
 * Gives the reader a file of the nodes in `pages`, arrays of nodes, that are in `dir`. The
 * directories on the way are in it, without which nothing can be read back.
 */
export async function exportNodes({ pages, dir, hidden, name }) {
  const lines = new Lines();
  await runJob("Exporting", async (update, signal) => {
    try {
      for (const parent of [...wayTo(dir), dir].filter((one) => one !== "/")) {
        lines.add([(await list(parent, { limit: 1, keysOnly: true, hidden: true, signal })).node]);
      }
      for await (const nodes of pages(signal)) {
        for (const node of nodes) {
          await addNode(lines, node, { hidden, signal, update });
          update(`${plural(lines.count, "node")} so far`);
        }
      }
    } catch (error) {
      throw new Error(`${reasonOf(error, signal)} No file was made.`);
    }
    download(`${name}.jsonl`, lines.parts, "application/x-ndjson");
    const without = hidden ? "" : " Hidden nodes are not in it.";
    say(`Exported ${plural(lines.count, "node")}.${without}`);
  });
}

/** Exports all that is below a directory. */
export function exportDirectory(dir, hidden) {
  return exportNodes({
    pages: () => [[{ key: dir, dir: true, isWay: true }]],
    dir,
    hidden,
    name: nameOf(dir) || "keys",
  });
}
