// Forms for users and roles.

import { useState } from "preact/hooks";
import { Button } from "../../parts/button.jsx";
import { FormDialog, openDialog } from "../../parts/dialog.jsx";
import { visible } from "../../parts/words.js";
import { basic, remember, userName } from "../../server/credentials.js";
import { say } from "../../state/toasts.js";
import { makeRole, makeUser, setPassword, setRights, setRoles } from "./api.js";

/** The server's hash takes no more of a password. */
const PASSWORD_BYTES = 72;

function Password({ label = "Password", isFirst }) {
  const [isLong, setLong] = useState(false);
  return (
    <label class="field">
      {label}
      <input
        type="password"
        name="password"
        required
        autoComplete="new-password"
        data-first={isFirst ? "" : undefined}
        data-wrong="Enter a password."
        onInput={(event) =>
          setLong(new TextEncoder().encode(event.target.value).length > PASSWORD_BYTES)
        }
      />
      <span class="hint">{isLong ? `Only its first ${PASSWORD_BYTES} bytes count.` : ""}</span>
    </label>
  );
}

function NameField({ what, value, isFixed }) {
  return (
    <label class="field">
      Name
      <input
        type="text"
        name="name"
        data-first={isFixed ? undefined : ""}
        required
        pattern="[^\/:]+"
        defaultValue={value}
        readOnly={isFixed}
        autoComplete="off"
        autocapitalize="none"
        spellcheck={false}
        data-wrong={`Enter a name for the ${what}, without / and :.`}
      />
    </label>
  );
}

function RoleChoices({ roles, held = [] }) {
  const names = [...new Set([...roles.map((one) => one.name), ...held])].sort();
  return (
    <fieldset class="roles-field">
      <legend>Roles</legend>
      {names.map((name) => (
        <label key={name} class="choice">
          <input type="checkbox" name="role" value={name} defaultChecked={held.includes(name)} />
          {visible(name)}
          {!roles.some((one) => one.name === name) && (
            <span class="muted small">(was deleted)</span>
          )}
        </label>
      ))}
      {names.length === 0 && <p class="muted">There are none yet.</p>}
    </fieldset>
  );
}

function chosenRoles(form) {
  return [...form.querySelectorAll("[name=role]:checked")].map((box) => box.value);
}

function UserForm({ roles, isRoot, close }) {
  const run = async (form) => {
    const name = form.elements.name.value;
    await makeUser(name, form.elements.password.value, chosenRoles(form));
    say(`The user ${name} was created.`);
  };
  return (
    <FormDialog
      title={isRoot ? "Create the user root" : "New user"}
      action="Create"
      running="Creating..."
      run={run}
      close={close}
    >
      <NameField what="user" value={isRoot ? "root" : ""} isFixed={isRoot} />
      <Password isFirst={isRoot} />
      {isRoot ? (
        <p class="muted">The user root may do everything, and always has the role root.</p>
      ) : (
        <RoleChoices roles={roles} />
      )}
    </FormDialog>
  );
}

function PasswordForm({ name, close }) {
  const run = async (form) => {
    const password = form.elements.password.value;
    await setPassword(name, password);
    // Who uses the page stays logged in.
    if (name === userName()) remember(name, basic(name, password));
    say(`The password of ${name} was changed.`);
  };
  return (
    <FormDialog
      title={`Change the password of ${visible(name)}`}
      action="Change"
      running="Changing..."
      run={run}
      close={close}
    >
      {/* A password manager wants to know whose it is. */}
      <input type="text" name="username" autoComplete="username" value={name} readOnly hidden />
      <Password label="New password" isFirst />
      {name !== userName() && (
        <p class="muted">From then on the old one is refused, on all members.</p>
      )}
    </FormDialog>
  );
}

function RolesForm({ user, roles, close }) {
  const run = async (form) => {
    await setRoles(user.name, user.roles, chosenRoles(form));
    say(`The roles of ${user.name} were saved.`);
  };
  return (
    <FormDialog
      title={`Roles of ${visible(user.name)}`}
      action="Save"
      running="Saving..."
      run={run}
      close={close}
    >
      <RoleChoices roles={roles} held={user.roles} />
    </FormDialog>
  );
}

function wrongPattern(pattern) {
  if (!pattern.startsWith("/")) return "A pattern begins with /.";
  return pattern.slice(0, -1).includes("*") ? "A * can only be the last letter." : "";
}

let last = 0;

function rowOf(right = { pattern: "", read: true, write: false }) {
  last += 1;
  return { id: last, ...right };
}

function Rights({ rows, change }) {
  const set = (id, changes) =>
    change(rows.map((row) => (row.id === id ? { ...row, ...changes } : row)));
  return (
    <fieldset class="rights-field">
      <legend>Rights</legend>
      <ul>
        {rows.map((row, at) => (
          <li key={row.id}>
            <input
              type="text"
              class="mono"
              aria-label={`Pattern ${at + 1}`}
              value={row.pattern}
              placeholder="/app/*"
              spellcheck={false}
              autoComplete="off"
              data-wrong={wrongPattern(row.pattern)}
              ref={(field) => field?.setCustomValidity(wrongPattern(row.pattern))}
              onInput={(event) => {
                event.target.setCustomValidity(wrongPattern(event.target.value));
                set(row.id, { pattern: event.target.value });
              }}
            />
            {["read", "write"].map((kind) => (
              <label key={kind} class="choice">
                <input
                  type="checkbox"
                  checked={row[kind]}
                  onChange={(event) => set(row.id, { [kind]: event.target.checked })}
                />
                {kind}
              </label>
            ))}
            <Button
              kind="plain icon"
              label={`Take pattern ${at + 1} away`}
              onPress={() => change(rows.filter((one) => one.id !== row.id))}
            >
              {"\u2715"}
            </Button>
          </li>
        ))}
      </ul>
      <Button onPress={() => change([...rows, rowOf()])}>Add a pattern</Button>
      <p class="hint muted small">
        A pattern is a key, or ends in *: /app/* is everything below /app.
      </p>
    </fieldset>
  );
}

/** Rights of rows, those of the same pattern together. */
function together(rows) {
  const found = new Map();
  for (const { pattern, read, write } of rows) {
    const before = found.get(pattern);
    found.set(pattern, {
      pattern,
      read: read || Boolean(before?.read),
      write: write || Boolean(before?.write),
    });
  }
  return [...found.values()];
}

function RoleForm({ role, close }) {
  const [rows, setRows] = useState(() => (role ? role.rights.map(rowOf) : [rowOf()]));
  const run = async (form) => {
    const name = role?.name ?? form.elements.name.value;
    const rights = together(rows);
    if (role) await setRights(name, role.rights, rights);
    else await makeRole(name, rights);
    say(role ? `The rights of the role ${name} were saved.` : `The role ${name} was created.`);
  };
  return (
    <FormDialog
      title={role ? `Rights of the role ${visible(role.name)}` : "New role"}
      action={role ? "Save" : "Create"}
      running={role ? "Saving..." : "Creating..."}
      run={run}
      close={close}
    >
      {!role && <NameField what="role" />}
      <Rights rows={rows} change={setRows} />
    </FormDialog>
  );
}

export const openUser = (roles) => openDialog(UserForm, { roles });
export const openRoot = () => openDialog(UserForm, { roles: [], isRoot: true });
export const openPassword = (name) => openDialog(PasswordForm, { name });
export const openRoles = (user, roles) => openDialog(RolesForm, { user, roles });
export const openRole = (role) => openDialog(RoleForm, { role });
