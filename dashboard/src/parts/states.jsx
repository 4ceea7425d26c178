// What is shown where there is nothing yet: skeletons, empty states, errors.

import { Button } from "./button.jsx";
import { Command } from "./copy.jsx";
import { sentence } from "./words.js";

/** Lines that wait for what is to come; `label` is for those who cannot see them. */
export function Skeleton({ lines = 3, label = "Loading" }) {
  return (
    <div class="line" role="status" aria-label={label} aria-busy="true">
      {Array.from({ length: lines }, (_, at) => (
        <span key={at} class="skeleton grow" style={{ flexBasis: "100%" }} />
      ))}
    </div>
  );
}

/** Nothing there, and what to try. */
export function Empty({ title, children, command }) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children && <p>{children}</p>}
      {command && <Command text={command} />}
    </div>
  );
}

/** An error where its result would have been. */
export function Failed({ error, again }) {
  return (
    <div class="empty" role="alert">
      <p class="wrong">{sentence(error.message)}</p>
      {again && <Button onPress={again}>Try again</Button>}
    </div>
  );
}
