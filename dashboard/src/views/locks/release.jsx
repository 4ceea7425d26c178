// Releasing a lock that is stuck, or taking somebody out of its queue.

import { call } from "../../server/api.js";
import { FormDialog, openDialog } from "../../parts/dialog.jsx";
import { visible } from "../../parts/words.js";
import { isSilent, isStuck } from "../../state/health.js";
import { counts, covers, readOnlyReason, rights } from "../../state/session.js";
import { say } from "../../state/toasts.js";
import { DIR } from "./queues.js";

/** Why a lock may not be released by who uses the page; null if it may be. */
export function whyNotRelease(name) {
  if (readOnlyReason.value) return readOnlyReason.value;
  if (isSilent.value) return "This machine does not answer.";
  if (isStuck.value) return "There is no leader: no change is possible.";
  const known = rights.value;
  if (!counts.value || !known || known.isRoot) return null;
  const key = `${DIR}/${name}`;
  // The keys of its places are below its name.
  if (known.write.some((pattern) => covers(pattern, key) || covers(pattern, `${key}/`)))
    return null;
  return `${known.user ?? "A guest"} has no right to change ${visible(key)}.`;
}

function Release({ lock, place, at, close }) {
  const name = visible(lock.name);
  const who = place.value === "" ? `entry ${place.index}` : visible(place.value);
  const next = lock.places[at + 1];
  const isHolder = at === 0;
  const run = async () => {
    const path = lock.name.split("/").map(encodeURIComponent).join("/");
    await call(`/mod/v2/lock/${path}?index=${place.index}`, { method: "DELETE" });
    say(
      isHolder
        ? `${lock.name} was released.`
        : `${who} was taken out of the queue of ${lock.name}.`,
    );
  };
  return (
    <FormDialog
      title={isHolder ? `Release ${name}?` : `Take ${who} out of the queue of ${name}?`}
      action={isHolder ? "Release" : "Take out"}
      running="Releasing..."
      isDanger
      run={run}
      close={close}
    >
      {isHolder ? (
        <ul class="points">
          <li>
            {who} is not told: it may go on working as if it held the lock. Make sure that it has
            ended, or that what it writes to checks the index {place.index}.
          </li>
          <li>Its next renewal fails with error 100.</li>
          <li>
            {next
              ? `${next.value === "" ? `Entry ${next.index}` : visible(next.value)} holds the lock next, at once.`
              : "Nobody waits: the lock is free then."}
          </li>
        </ul>
      ) : (
        <p>Its request, which waits, is answered with error 100. The others move up.</p>
      )}
    </FormDialog>
  );
}

export function openRelease(props) {
  return openDialog(Release, props);
}
