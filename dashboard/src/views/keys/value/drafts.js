// What is being edited, kept over a reload of this tab and no longer: a value may be a secret.

const PREFIX = "stead-draft:";

/** The draft of a key: `{ text, ttl, base }`, `base` being the node that the edit began at. */
export function draftOf(key) {
  try {
    return JSON.parse(sessionStorage.getItem(PREFIX + key));
  } catch {
    return null;
  }
}

/** Gives whether there was room for it. */
export function keepDraft(key, draft) {
  try {
    sessionStorage.setItem(PREFIX + key, JSON.stringify(draft));
    return true;
  } catch {
    forgetDraft(key);
    return false;
  }
}

export function forgetDraft(key) {
  sessionStorage.removeItem(PREFIX + key);
}
