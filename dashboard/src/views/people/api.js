// Users and roles, as /v2/auth has them.

import { call } from "../../server/api.js";

const USERS = "/v2/auth/users";
const ROLES = "/v2/auth/roles";

function pathOf(base, name) {
  return `${base}/${encodeURIComponent(name)}`;
}

/** `{ users, roles }`: users as `{ name, roles }`, roles as `{ name, rights }`; see `rightsOf`. */
export async function readAll(signal) {
  const [{ users }, { roles }] = await Promise.all([
    call(USERS, { signal }),
    call(ROLES, { signal }),
  ]);
  const byName = (one, other) => one.name.localeCompare(other.name);
  return {
    users: (users ?? [])
      .map(({ user, roles: held }) => ({
        name: user,
        roles: (held ?? []).map((one) => one.role ?? one),
      }))
      .sort(byName),
    roles: (roles ?? [])
      .map(({ role, permissions }) => ({ name: role, rights: rightsOf(permissions) }))
      .sort(byName),
  };
}

/** Permissions by pattern: `{ pattern, read, write }`. */
export function rightsOf(permissions) {
  const { read, write } = permissions?.kv ?? {};
  const patterns = [...new Set([...(read ?? []), ...(write ?? [])])].sort();
  return patterns.map((pattern) => ({
    pattern,
    read: Boolean(read?.includes(pattern)),
    write: Boolean(write?.includes(pattern)),
  }));
}

/** Rights as the server takes them. */
function permissionsOf(rights) {
  const those = (kind) => rights.filter((one) => one[kind]).map(({ pattern }) => pattern);
  return { kv: { read: those("read"), write: those("write") } };
}

export function makeUser(name, password, roles) {
  return call(pathOf(USERS, name), {
    method: "PUT",
    json: { user: name, password, ...(roles.length && { roles }) },
  });
}

export function setPassword(name, password) {
  return call(pathOf(USERS, name), { method: "PUT", json: { user: name, password } });
}

/** Has a user hold these roles, who held those before. */
export function setRoles(name, before, after) {
  const grant = after.filter((role) => !before.includes(role));
  const revoke = before.filter((role) => !after.includes(role));
  if (!grant.length && !revoke.length) return null;
  const json = { user: name, ...(grant.length && { grant }), ...(revoke.length && { revoke }) };
  return call(pathOf(USERS, name), { method: "PUT", json });
}

export function deleteUser(name) {
  return call(pathOf(USERS, name), { method: "DELETE" });
}

export function makeRole(name, rights) {
  return call(pathOf(ROLES, name), {
    method: "PUT",
    json: { role: name, permissions: permissionsOf(rights) },
  });
}

/** Has a role give these rights, which gave those before. */
export function setRights(name, before, after) {
  const [old, now] = [permissionsOf(before).kv, permissionsOf(after).kv];
  const without = (all, others) => all.filter((one) => !others.includes(one));
  const difference = (from, to) => ({
    read: without(to.read, from.read),
    write: without(to.write, from.write),
  });
  const [grant, revoke] = [difference(old, now), difference(now, old)];
  const isSome = ({ read, write }) => read.length + write.length > 0;
  if (!isSome(grant) && !isSome(revoke)) return null;
  const json = {
    role: name,
    ...(isSome(grant) && { grant: { kv: grant } }),
    ...(isSome(revoke) && { revoke: { kv: revoke } }),
  };
  return call(pathOf(ROLES, name), { method: "PUT", json });
}

export function deleteRole(name) {
  return call(pathOf(ROLES, name), { method: "DELETE" });
}

/** Has users count from now on, or no longer. */
export function setEnabled(isOn) {
  return call("/v2/auth/enable", { method: isOn ? "PUT" : "DELETE" });
}
