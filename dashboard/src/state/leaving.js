// What would be lost if the page went elsewhere: an edit, a form with something typed.

/** Each `{ isChanged(), leave() }`; `leave` asks where it must, and gives whether it is closed. */
const open = new Set();

/** Has something be asked about before the page goes elsewhere. Gives the way to end that. */
export function guard(one) {
  open.add(one);
  return () => open.delete(one);
}

/** Whether something has to be asked. */
export function mustAsk() {
  return [...open].some((one) => one.isChanged());
}

/** Asks, the latest first. Gives whether the page may go. */
export async function mayLeave() {
  for (const one of [...open].reverse()) if (!(await one.leave())) return false;
  return true;
}

// A tab that is closed or reloaded asks in the browser's own words.
addEventListener("beforeunload", (event) => {
  if (mustAsk()) event.preventDefault();
});
