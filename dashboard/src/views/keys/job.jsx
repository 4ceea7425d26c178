// Work on many nodes: how far it is, a way to stop it, and what was done when it ends too early.

import { useEffect, useRef, useState } from "preact/hooks";
import { confirmed, Dialog, openDialog } from "../../parts/dialog.jsx";
import { sentence } from "../../parts/words.js";
import { guard } from "../../state/leaving.js";

/** Progress is drawn at most so often. */
const DRAWN_MS = 100;

function Job({ title, run, close }) {
  const abort = useRef(new AbortController());
  const isRunning = useRef(true);
  const [text, setText] = useState("Beginning...");
  const [wrong, setWrong] = useState(null);
  useEffect(() => {
    let drawnAt = 0;
    const update = (now) => {
      if (Date.now() - drawnAt < DRAWN_MS) return;
      drawnAt = Date.now();
      setText(now);
    };
    run(update, abort.current.signal).then(
      (result) => {
        isRunning.current = false;
        close(result);
      },
      (error) => {
        isRunning.current = false;
        setWrong(error.message);
      },
    );
  }, []);
  const leave = async () => {
    if (
      isRunning.current &&
      !(await confirmed({
        title: "Stop it?",
        text: "What has been done by now stays.",
        action: "Stop",
        stay: "Continue",
      }))
    )
      return false;
    abort.current.abort();
    if (!isRunning.current) close(undefined);
    return true;
  };
  useEffect(() => guard({ isChanged: () => isRunning.current, leave }), []);
  return (
    <Dialog title={title} onCancel={leave}>
      {(heading) => (
        <div class="inside">
          {heading}
          {wrong === null ? (
            <>
              <p role="status">{sentence(text)}</p>
              <progress aria-label={title} />
            </>
          ) : (
            <p class="wrong" role="alert">
              {sentence(wrong)}
            </p>
          )}
          <div class="buttons">
            <button
              type="button"
              class="button"
              data-first
              onClick={() => (wrong === null ? abort.current.abort() : close(undefined))}
            >
              {wrong === null ? "Stop" : "Close"}
            </button>
          </div>
        </div>
      )}
    </Dialog>
  );
}

/**
 * Runs `run(update, signal)` under a dialog, which closes with what it gives. What it throws is
 * shown until the reader has seen it; then this gives undefined.
 */
export function runJob(title, run) {
  return openDialog(Job, { title, run });
}

/** Why work ended: in the words of an error, or because the reader stopped it. */
export function reasonOf(error, abort) {
  return abort.aborted ? "Stopped." : error.message;
}
