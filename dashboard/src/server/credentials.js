// The name and the password that this page sends.
//
// They live in the memory of this page alone, so a reload asks for them again; a password manager
// answers that at once. localStorage would leave the password on the disk for good. sessionStorage
// would too, since browsers write it there to restore tabs, and a tab opened from this one would
// get a copy of it. An address would be kept in the history and in the logs of proxies.

let name = null;
let header = null;

/** What proves a name and a password (RFC 7617); any letters are sent as UTF-8. */
export function basic(user, password) {
  const bytes = new TextEncoder().encode(`${user}:${password}`);
  return `Basic ${btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))}`;
}

/** From now on requests are sent as this user. */
export function remember(user, proof) {
  [name, header] = [user, proof];
}

/** From now on requests are sent as nobody in particular. */
export function forget() {
  [name, header] = [null, null];
}

/** Who is logged in; null for nobody. */
export function userName() {
  return name;
}

/** The value of the Authorization header; null for nobody. */
export function authorization() {
  return header;
}
