// The form for a name and a password.

import { useEffect, useRef, useState } from "preact/hooks";
import { asked, endAsking, logIn } from "../state/session.js";
import { guard } from "../state/leaving.js";
import { Dialog } from "./dialog.jsx";
import { sentence } from "./words.js";

export function LoginForm() {
  return asked.value && <Form {...asked.value} />;
}

function Form({ reason, name }) {
  const running = useRef(new AbortController());
  const password = useRef(null);
  const who = useRef(null);
  const [wrong, setWrong] = useState(null);
  const [isChecking, setChecking] = useState(false);
  const end = (result) => {
    running.current.abort();
    endAsking(result);
  };
  useEffect(
    () =>
      guard({
        isChanged: () => false,
        leave() {
          end(null);
          return true;
        },
      }),
    [],
  );
  const send = async (event) => {
    event.preventDefault();
    if (isChecking) return;
    setChecking(true);
    setWrong(null);
    const { signal } = running.current;
    const found = await logIn(who.current.value, password.current.value, signal);
    if (signal.aborted) return;
    if (found === null) return end(who.current.value);
    setChecking(false);
    setWrong(found);
    if (found.isWrong) password.current.value = "";
    password.current.focus();
  };
  return (
    <Dialog
      title="Log in"
      kind="login"
      onCancel={() => end(null)}
      describedBy={reason ? "login-reason" : undefined}
    >
      {(heading) => (
        <form onSubmit={send}>
          {heading}
          {reason && <p id="login-reason">{sentence(reason)}</p>}
          <div class="field">
            <label for="login-name">Name</label>
            <input
              type="text"
              name="username"
              id="login-name"
              ref={who}
              defaultValue={name ?? ""}
              data-first={name === undefined ? "" : undefined}
              autoComplete="username"
              autocapitalize="none"
              spellcheck={false}
              required
            />
          </div>
          <div class="field">
            <label for="login-password">Password</label>
            <input
              type="password"
              name="password"
              id="login-password"
              ref={password}
              data-first={name === undefined ? undefined : ""}
              autoComplete="current-password"
              required
              aria-describedby="login-wrong"
              aria-invalid={wrong?.isWrong ? "true" : undefined}
            />
          </div>
          <p class="wrong" id="login-wrong" role="alert">
            {wrong?.text}
          </p>
          <div class="buttons">
            <button type="button" class="button" onClick={() => end(null)}>
              Continue without logging in
            </button>
            <button
              type="submit"
              class="button primary"
              aria-disabled={isChecking ? "true" : undefined}
            >
              {isChecking ? "Checking..." : "Log in"}
            </button>
          </div>
        </form>
      )}
    </Dialog>
  );
}
