// What can be done with machines: dialogs, and the commands to type.

import { call } from "../../server/api.js";
import { Command } from "../../parts/copy.jsx";
import { confirmed, Dialog, FormDialog, openDialog } from "../../parts/dialog.jsx";
import { plural, quoted, visible } from "../../parts/words.js";
import { cluster, look } from "../../state/health.js";
import { say } from "../../state/toasts.js";
import { afterRemoval, hasPeerTls, hostOf, peersOf } from "./machine.js";

export async function moveLeadership(member) {
  const isSure = await confirmed({
    title: `Move leadership to ${visible(member.name)}?`,
    text: "Requests wait while it is handed over, and none fails.",
    action: "Move leadership",
    isDanger: false,
  });
  if (!isSure) return;
  await call("/v2/admin/leader", { method: "PUT", json: { name: member.name } });
  say(`${member.name} leads.`);
  look();
}

/** What is left after a removal, in a sentence. */
function afterwards(member) {
  const { left, alive, needed, tolerates } = afterRemoval(member);
  if (left === 0) return "It is the only voting member: the server refuses that.";
  if (tolerates < 0)
    return `The server will refuse it: ${plural(needed, "machine")} would be needed, and ${alive} would answer.`;
  const fail =
    tolerates === 0 ? "no further machine may fail" : `${plural(tolerates, "machine")} may fail`;
  return `Afterwards there are ${plural(left, "voting member")}, of which ${needed} are needed: ${fail}.`;
}

function Remove({ member, close }) {
  const name = visible(member.name);
  const check = (event) => {
    event.target.setCustomValidity(event.target.value === name ? "" : `Type ${name} to confirm.`);
  };
  const run = async () => {
    await call(`/v2/admin/machines/${encodeURIComponent(member.name)}`, { method: "DELETE" });
    say(`${member.name} was removed.`);
    look();
  };
  return (
    <FormDialog
      title={`Remove ${name}?`}
      action="Remove"
      running="Removing..."
      isDanger
      run={run}
      close={close}
    >
      <ul class="points">
        <li>{name} leaves the cluster, and votes no more.</li>
        <li>Its data stays on its disk, in a folder removed-DATE-TIME of its data directory.</li>
        <li>
          {member.reachable
            ? "It runs: it becomes a standby, and joins again when there is room. Stop it first if it is to stay away."
            : "It does not answer: if it ever starts again, it learns that it was removed, and becomes a standby."}
        </li>
        <li>{afterwards(member)}</li>
      </ul>
      <label class="field">
        Type {name} to confirm
        <input
          type="text"
          data-first
          data-wrong={`Type ${name} to confirm.`}
          autoComplete="off"
          spellcheck={false}
          ref={(field) =>
            field?.value === "" && field.setCustomValidity(`Type ${name} to confirm.`)
          }
          onInput={check}
        />
      </label>
    </FormDialog>
  );
}

export function openRemove(member) {
  return openDialog(Remove, { member });
}

function Guide({ title, close, children }) {
  return (
    <Dialog title={title} kind="wide" onCancel={() => close()}>
      {(heading) => (
        <div class="inside guide">
          {heading}
          {children}
          <div class="buttons">
            <button type="button" class="button" data-first onClick={() => close()}>
              Close
            </button>
          </div>
        </div>
      )}
    </Dialog>
  );
}

/** The flags that a machine is started with. */
function startOf({ name, addr, peer, without, more = "" }) {
  return `stead -name ${quoted(name)} -data-dir /var/lib/stead -addr ${addr} -peer-addr ${peer} \\\n  -peers ${peersOf(without)}${more}`;
}

function Notes() {
  return (
    <p class="muted">
      {hasPeerTls() &&
        "The members use TLS among themselves: give it the -peer-cert-file, -peer-key-file and -peer-ca-file of this cluster too. "}
      If the cluster has a secret, add its -peer-token-file. Addresses are those that other machines
      reach it at.
    </p>
  );
}

function Add({ close }) {
  const names = new Set(cluster.value.members.map((one) => one.name));
  let number = names.size + 1;
  while (names.has(`m${number}`)) number += 1;
  return (
    <Guide title="Add a machine" close={close}>
      <p>Type this on the new machine, with its own name, directory and addresses:</p>
      <Command
        text={startOf({ name: `m${number}`, addr: "NEW-HOST:4001", peer: "NEW-HOST:7001" })}
      />
      <p>
        It copies the keys, votes once it has caught up, and is then shown here. If there are as
        many members as activeSize allows, it is a standby until one of them goes.
      </p>
      <Notes />
    </Guide>
  );
}

export function openAdd() {
  return openDialog(Add, {});
}

function Replace({ member, close }) {
  const name = visible(member.name);
  const [addr, peer] = [hostOf(member.clientURL, "HOST:4001"), hostOf(member.peerURL, "HOST:7001")];
  const via =
    cluster.value.members.find((one) => one.reachable && one.name !== member.name && one.clientURL)
      ?.clientURL ?? location.origin;
  const ask = `stead status --endpoint ${via}`;
  return (
    <Guide title={`Replace ${name}`} close={close}>
      <p>
        Replace one machine at a time, while all the others are well: each change needs a majority.
        Clients go on.
      </p>
      <h3>It is lost, with its disk</h3>
      <p>On the new machine, under the same name and address, with an empty directory:</p>
      <Command
        text={startOf({
          name: member.name,
          addr,
          peer,
          without: member.name,
          more: " -force-rejoin",
        })}
      />
      <p>Once it votes, take -force-rejoin off its command line. Never start the old disk again.</p>
      <h3>It still runs</h3>
      <p>1. Start the new machine first, and wait until it votes:</p>
      <Command text={startOf({ name: "NEW-NAME", addr: "NEW-HOST:4001", peer: "NEW-HOST:7001" })} />
      <Command text={ask} />
      <p>2. Stop {name}, and then remove it:</p>
      <Command
        text={`curl -fs ${via}/v2/admin/machines/${encodeURIComponent(member.name)} -XDELETE`}
      />
      <p>Or stop it, and use Remove in its menu here.</p>
      <Notes />
    </Guide>
  );
}

export function openReplace(member) {
  return openDialog(Replace, { member });
}
