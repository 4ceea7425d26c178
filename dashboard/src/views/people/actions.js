// What is asked before users, roles or their counting goes.

import { confirmed } from "../../parts/dialog.jsx";
import { visible } from "../../parts/words.js";
import { ask, lookAtUsers, user } from "../../state/session.js";
import { say } from "../../state/toasts.js";
import { deleteRole, deleteUser, setEnabled } from "./api.js";

/** Gives whether it was done. */
export async function removeUser(name) {
  const isOwn = name === user.value;
  const isSure = await confirmed({
    title: `Delete the user ${visible(name)}?`,
    text: isOwn
      ? "You are logged in as this user: the server will accept nothing more from this page until you log in as another one."
      : "From then on the server refuses its password. Its keys stay.",
    action: "Delete",
    typed: isOwn ? name : undefined,
  });
  if (!isSure) return false;
  await deleteUser(name);
  say(`The user ${name} was deleted.`);
  return true;
}

export async function removeRole(name, holders) {
  const held = holders.length
    ? `${holders.map(visible).join(", ")} lose its rights.`
    : "No user has it.";
  const isSure = await confirmed({
    title: `Delete the role ${visible(name)}?`,
    text: held,
    action: "Delete",
  });
  if (!isSure) return false;
  await deleteRole(name);
  say(`The role ${name} was deleted.`);
  return true;
}

export async function enable(hasGuest) {
  const guests = hasGuest
    ? "Requests without a name and a password may do what the role guest allows."
    : "Requests without a name and a password are refused, those of clients that run now too, until the role guest allows them something.";
  const isSure = await confirmed({
    title: "Turn authentication on?",
    text: `${guests} You are asked to log in as root.`,
    action: "Turn on",
  });
  if (!isSure) return;
  await setEnabled(true);
  say("Authentication is on.");
  await lookAtUsers();
  ask("Authentication is on. Log in to go on.");
}

export async function disable() {
  const isSure = await confirmed({
    title: "Turn authentication off?",
    text: "Everybody who reaches a client port may then read and change every key, and users and roles too. Users, roles and passwords are kept.",
    action: "Turn off",
    typed: "off",
  });
  if (!isSure) return;
  await setEnabled(false);
  say("Authentication is off.");
  await lookAtUsers();
}
