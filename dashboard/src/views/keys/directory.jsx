// The open directory: what can be done with it, and its table.

import { useEffect } from "preact/hooks";
import { nameOf } from "../../server/api.js";
import { NOT_A_DIR } from "../../server/keys.js";
import { counts, covers, readOnlyReason, rights, whyNotWrite } from "../../state/session.js";
import { hidden } from "../../state/settings.js";
import { sayError } from "../../state/toasts.js";
import { Button, Menu } from "../../parts/button.jsx";
import { useCommands } from "../../parts/palette.jsx";
import { Until } from "../../parts/time.jsx";
import { count, visible } from "../../parts/words.js";
import { deleteChosen, deleteDirectory } from "./deleting.js";
import { exportDirectory, exportNodes } from "./exporting.js";
import { openImport } from "./import.jsx";
import { noteKind, noteOpened } from "./memory.js";
import { transferChosen, transferOne } from "./moving.jsx";
import { baseOf } from "./names.js";
import { chosenCount, chosenNodes, clearSelection, selection } from "./selection.js";
import { Counts, Table, TableFilter, useTable } from "./table.jsx";
import { openCreate } from "./value/create.jsx";

/** Why nothing can be changed here, whoever asks; null if something can be. */
export function whyNever(dir) {
  const isServers = dir === "/_etcd" || dir.startsWith("/_etcd/");
  return readOnlyReason.value ?? (isServers ? whyNotWrite(dir) : null);
}

/** Why who uses the page may make nothing in a directory; null if something may be made. */
function whyNotIn(dir) {
  const base = baseOf(dir);
  const known = rights.value;
  const mayBelow =
    counts.value &&
    known?.write.some((pattern) => covers(pattern, base) || pattern.startsWith(base));
  return mayBelow ? null : whyNotWrite(base);
}

const isHidden = () => hidden.value === "yes";

/** What can be done with the whole directory. */
function actionsOf(dir) {
  const never = whyNever(dir);
  const inIt = whyNotIn(dir);
  const own = dir === "/" ? "The topmost directory stays." : whyNotWrite(dir);
  const change = (action) => (never ? null : action);
  return {
    newKey: change({ label: "New key", reason: inIt, run: () => openCreate({ dir, kind: "key" }) }),
    menu: [
      change({
        label: "New directory",
        reason: inIt,
        run: () => openCreate({ dir, kind: "directory" }),
      }),
      change({
        label: "New in-order key",
        reason: inIt,
        run: () => openCreate({ dir, kind: "inOrder" }),
      }),
      change({ label: "Import", reason: inIt, run: openImport }),
      { label: "Export", run: () => exportDirectory(dir, isHidden()) },
      change({
        label: "Copy",
        reason: dir === "/" ? own : null,
        run: () => transferOne(dir, false),
      }),
      change({ label: "Move or rename", reason: own, run: () => transferOne(dir, true) }),
      change({ label: "Delete", kind: "danger", reason: own, run: () => deleteDirectory(dir) }),
    ].filter(Boolean),
  };
}

/** What the palette offers, with its keys; `isOpen` is whether the directory itself is open. */
function usePaletteFor(dir, isOpen) {
  const { newKey, menu } = actionsOf(dir);
  const find = (label) => menu.find((one) => one.label === label);
  const offered = [
    newKey && { ...newKey, keys: "n" },
    find("New directory"),
    find("Import"),
    find("Export"),
    isOpen && find("Delete"),
  ].filter((one) => one && !one.reason);
  const run = (one) => () => Promise.resolve(one.run()).catch(sayError);
  const flip = {
    label: isHidden() ? "Hide hidden nodes" : "Show hidden nodes",
    run: () => {
      hidden.value = isHidden() ? "no" : "yes";
    },
  };
  useCommands(
    [...offered.map((one) => ({ ...one, run: run(one) })), flip],
    [dir, hidden.value, readOnlyReason.value, rights.value],
  );
}

/** Commands while a key is open, where they mean the directory that it is in. */
export function KeyCommands({ dir }) {
  usePaletteFor(dir, false);
  return null;
}

/** What can be done with the rows that are chosen. */
function Chosen({ dir, listing }) {
  const number = chosenCount(dir, listing.total);
  const never = whyNever(dir);
  const reason = whyNotIn(dir);
  const exportChosen = () => {
    const chosen = selection.value;
    const isWhole = chosen.isAll && !chosen.filter && chosen.left.size === 0;
    if (isWhole) return exportDirectory(dir, isHidden());
    const pages = (signal) => chosenNodes(chosen, { hidden: isHidden(), signal });
    return exportNodes({ pages, dir, hidden: isHidden(), name: nameOf(dir) || "keys" });
  };
  const change = (isMove) => transferChosen(dir, isMove, isHidden());
  return (
    <div class="tools chosen" role="group" aria-label="What is selected">
      <b role="status">{`${count(number)} selected`}</b>
      <Button onPress={exportChosen}>Export</Button>
      {!never && (
        <Button reason={reason} onPress={() => change(false)}>
          Copy
        </Button>
      )}
      {!never && (
        <Button reason={reason} onPress={() => change(true)}>
          Move
        </Button>
      )}
      {!never && (
        <Button kind="danger-text" reason={reason} onPress={() => deleteChosen(dir, isHidden())}>
          Delete
        </Button>
      )}
      <Button kind="plain" onPress={clearSelection}>
        Clear
      </Button>
    </div>
  );
}

function Head({ dir, listing }) {
  listing.version.value;
  const { newKey, menu } = actionsOf(dir);
  const { expiration } = listing.node ?? {};
  return (
    <header>
      <h2 id="place-title" class="mono cut" aria-label={visible(dir)} title={visible(dir)}>
        {dir === "/" ? "/" : visible(nameOf(dir))}
      </h2>
      {expiration && (
        <span class="tag">
          expires in <Until ms={Date.parse(expiration)} />
        </span>
      )}
      {!listing.gone && !listing.error && (
        <>
          {newKey && (
            <Button kind="primary" reason={newKey.reason} onPress={newKey.run}>
              {newKey.label}
            </Button>
          )}
          <Menu label="More actions" items={menu} />
        </>
      )}
    </header>
  );
}

/** The open directory. `opened` is what is known of the place. */
export function Directory({ dir, opened }) {
  const { listing, order, filter } = useTable(dir);
  listing.version.value;
  usePaletteFor(dir, true);
  useEffect(() => {
    if (listing.error?.code === NOT_A_DIR) opened.isKey();
    if (listing.total === null) return;
    noteKind(dir, true);
    noteOpened(dir, true);
  }, [listing.error, listing.total === null]);
  const never = whyNever(dir);
  const hasChosen = chosenCount(dir, listing.total) > 0;
  return (
    <section class="card directory" aria-labelledby="place-title">
      <Head dir={dir} listing={listing} />
      {never && <p class="counts small muted">{never}</p>}
      {!listing.error &&
        !listing.gone &&
        (hasChosen ? (
          <Chosen dir={dir} listing={listing} />
        ) : (
          <div class="tools">
            <TableFilter filter={filter} />
            <Counts listing={listing} filter={filter} />
          </div>
        ))}
      <Table dir={dir} listing={listing} order={order} filter={filter} canChoose />
    </section>
  );
}
