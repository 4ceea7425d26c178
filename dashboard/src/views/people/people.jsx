// The view of users: who may do what.

import "./people.css";
import { useEffect, useState } from "preact/hooks";
import { Button, Menu } from "../../parts/button.jsx";
import { Failed, Skeleton } from "../../parts/states.jsx";
import { sentence, visible } from "../../parts/words.js";
import { counts, isLookedAt, rights, user, whyNotAdmin } from "../../state/session.js";
import { disable, removeRole, removeUser } from "./actions.js";
import { readAll } from "./api.js";
import { openPassword, openRole, openRoles, openUser } from "./forms.jsx";
import { Beginning } from "./beginning.jsx";

/** Always there, and what the server lets nobody change. */
const ROOT = "root";
const GUEST = "guest";

/** Patterns with what they allow. */
function Patterns({ rights: those, isAll }) {
  if (isAll) return <span class="tag accent">everything</span>;
  if (!those.length) return <span class="muted">nothing</span>;
  return (
    <ul class="patterns">
      {those.map(({ pattern, read, write }) => (
        <li key={pattern}>
          <code>{visible(pattern)}</code>{" "}
          <span class="tag">{[read && "read", write && "write"].filter(Boolean).join(", ")}</span>
        </li>
      ))}
    </ul>
  );
}

/** Who uses the page, and what they may do. */
function Own() {
  // Those of whoever was logged in before are not theirs.
  const known = rights.value?.user === user.value ? rights.value : null;
  const mine =
    known &&
    [...new Set([...known.read, ...known.write])].sort().map((pattern) => ({
      pattern,
      read: known.read.includes(pattern),
      write: known.write.includes(pattern),
    }));
  return (
    <section class="card" aria-label="You">
      <header>
        <h2>{user.value === null ? "Not logged in" : <>You are {visible(user.value)}</>}</h2>
      </header>
      <div class="body">
        {!known && <p class="muted">Your rights are not known.</p>}
        {known && (
          <dl class="own">
            <div>
              <dt>Roles</dt>
              <dd>
                {known.roles.length ? (
                  known.roles.map(visible).join(", ")
                ) : (
                  <span class="muted">none</span>
                )}
              </dd>
            </div>
            <div>
              <dt>Rights</dt>
              <dd>
                <Patterns rights={mine} isAll={known.isRoot} />
              </dd>
            </div>
          </dl>
        )}
      </div>
    </section>
  );
}

function Users({ all, why, after }) {
  const items = (one) => [
    { label: "Change the password...", reason: why, run: () => openPassword(one.name).then(after) },
    {
      label: "Roles...",
      reason: why ?? (one.name === ROOT ? "root always has its role." : null),
      run: () => openRoles(one, all.roles).then(after),
    },
    {
      label: "Delete...",
      kind: "danger",
      reason:
        why ?? (one.name === ROOT && counts.value ? "Authentication needs the user root." : null),
      run: () => removeUser(one.name).then(after),
    },
  ];
  return (
    <section class="card" aria-label="Users">
      <header>
        <h2>Users</h2>
        <Button
          kind={counts.value ? "primary" : ""}
          reason={why}
          onPress={() => {
            openUser(all.roles).then(after);
          }}
        >
          New user
        </Button>
      </header>
      <table>
        <caption>Users</caption>
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">Roles</th>
            <th scope="col">
              <span class="visually-hidden">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {all.users.map((one) => (
            <tr key={one.name}>
              <th scope="row">
                {visible(one.name)}
                {one.name === user.value && <span class="muted"> (you)</span>}
              </th>
              <td>
                <span class="line">
                  {one.roles.map((name) => (
                    <span key={name} class={`tag ${name === ROOT ? "accent" : ""}`}>
                      {visible(name)}
                    </span>
                  ))}
                  {one.roles.length === 0 && <span class="muted">none</span>}
                </span>
              </td>
              <td class="actions">
                <Menu label={`Actions for the user ${visible(one.name)}`} items={items(one)} />
              </td>
            </tr>
          ))}
          {all.users.length === 0 && (
            <tr>
              <td colSpan={3} class="muted">
                No users yet.
              </td>
            </tr>
          )}
        </tbody>
      </table>
    </section>
  );
}

function Roles({ all, why, after }) {
  const holdersOf = (name) =>
    all.users.filter((one) => one.roles.includes(name)).map((one) => one.name);
  const items = (one) => {
    const fixed = one.name === ROOT ? "The role root cannot be changed." : null;
    return [
      { label: "Rights...", reason: why ?? fixed, run: () => openRole(one).then(after) },
      {
        label: "Delete...",
        kind: "danger",
        reason: why ?? fixed,
        run: () => removeRole(one.name, holdersOf(one.name)).then(after),
      },
    ];
  };
  return (
    <section class="card" aria-label="Roles">
      <header>
        <h2>Roles</h2>
        <Button
          reason={why}
          onPress={() => {
            openRole(null).then(after);
          }}
        >
          New role
        </Button>
      </header>
      <table>
        <caption>Roles</caption>
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">Rights</th>
            <th scope="col">
              <span class="visually-hidden">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {all.roles.map((one) => (
            <tr key={one.name}>
              <th scope="row">
                {visible(one.name)}
                {one.name === GUEST && (
                  <span class="muted small note">of whoever is not logged in</span>
                )}
              </th>
              <td>
                <Patterns rights={one.rights} isAll={one.name === ROOT} />
              </td>
              <td class="actions">
                <Menu label={`Actions for the role ${visible(one.name)}`} items={items(one)} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** What only root sees; everybody, while users do not count. */
function All({ why }) {
  const [all, setAll] = useState(null);
  const [error, setError] = useState(null);
  const [round, setRound] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    readAll(abort.signal).then(
      (found) => {
        setAll(found);
        setError(null);
      },
      (failure) => {
        if (!abort.signal.aborted) setError(failure);
      },
    );
    return () => abort.abort();
  }, [round, counts.value, user.value]);
  const again = () => setRound((before) => before + 1);
  if (error)
    return (
      <section class="card">
        <Failed error={error} again={again} />
      </section>
    );
  if (!all) return <Waiting />;
  return (
    <>
      {!counts.value && <Beginning all={all} why={why} after={again} />}
      <Users all={all} why={why} after={again} />
      <Roles all={all} why={why} after={again} />
    </>
  );
}

/** What there would be for root, and why it is not there. */
function Refused({ why }) {
  return (
    <section class="card" aria-label="Users and roles">
      <header>
        <h2>Users and roles</h2>
        <Button reason={why}>New user</Button>
        <Button reason={why}>New role</Button>
      </header>
      <p class="body muted">{sentence(why ?? "")}</p>
    </section>
  );
}

/** What is shown until it is known whether users count. */
function Waiting() {
  return (
    <section class="card waiting">
      <Skeleton lines={5} label="Loading users and roles" />
    </section>
  );
}

export function PeopleView() {
  const why = whyNotAdmin.value;
  // Who may not read users is not asked for another login by looking at this page.
  const mayRead = !counts.value || rights.value === null || rights.value.isRoot;
  return (
    <div class="page people">
      <div class="line">
        <h1 class="grow">People</h1>
        {isLookedAt.value && (
          <span class={`tag ${counts.value ? "good" : "warn"}`}>
            {counts.value ? "authentication is on" : "authentication is off"}
          </span>
        )}
        {counts.value && (
          <Menu
            label="Authentication"
            items={[
              { label: "Turn authentication off...", kind: "danger", reason: why, run: disable },
            ]}
          />
        )}
      </div>
      {counts.value && <Own />}
      {!isLookedAt.value && <Waiting />}
      {isLookedAt.value && (mayRead ? <All why={why} /> : <Refused why={why} />)}
    </div>
  );
}
