// Copying, and commands to type.

import { say } from "../state/toasts.js";
import { Button } from "./button.jsx";

/** Copies a text; an older browser, or a page without HTTPS, has no clipboard for scripts. */
export async function copy(text, what) {
  if (navigator.clipboard) await navigator.clipboard.writeText(text);
  else {
    const field = document.createElement("textarea");
    field.value = text;
    (document.querySelector("dialog[open]") ?? document.body).append(field);
    field.select();
    const isDone = document.execCommand("copy");
    field.remove();
    if (!isDone) throw new Error("This browser did not copy it.");
  }
  say(`Copied ${what}.`);
}

/** A command to type, with a button that copies it. */
export function Command({ text }) {
  return (
    <div class="command">
      <pre tabIndex={0}>{text}</pre>
      <Button kind="plain" label="Copy the command" onPress={() => copy(text, "the command")}>
        Copy
      </Button>
    </div>
  );
}

/** Gives the reader a file. */
export function download(name, parts, type = "application/octet-stream") {
  const url = URL.createObjectURL(new Blob(parts, { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
