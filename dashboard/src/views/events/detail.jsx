// What an event changed.

import { useMemo } from "preact/hooks";
import { Button } from "../../parts/button.jsx";
import { copy } from "../../parts/copy.jsx";
import { Time } from "../../parts/time.jsx";
import { bytes, count, duration, sentence, visible } from "../../parts/words.js";
import { difference } from "./difference.js";
import { PREVIEW } from "./journal.js";
import { timeOfRow } from "./list.jsx";

/** A text of several lines, in which nothing can change how the rest is drawn. */
function lines(text) {
  return text.split("\n").map(sentence).join("\n");
}

function Changed({ before, after }) {
  const parts = useMemo(() => difference(before, after), [before, after]);
  return (
    <pre tabIndex={0} aria-label="Difference of the value before and after">
      {parts.map(({ kind, text }, at) => {
        const Mark = { same: "span", gone: "del", come: "ins" }[kind];
        return <Mark key={at}>{lines(text)}</Mark>;
      })}
    </pre>
  );
}

function Values({ row }) {
  const { value, before, wasThere, isDir } = row;
  if (isDir) return null;
  if (value === undefined && before === undefined)
    return <p class="muted">No value came with this event.</p>;
  if (value === undefined) return <Part name="The value that was there" text={before} />;
  if (before === undefined)
    return <Part name={wasThere ? "The value" : "The value; there was none before"} text={value} />;
  if (before === value) return <Part name="The value, which is the same as before" text={value} />;
  return (
    <>
      <p class="muted small">
        Difference: what was there is struck out, what has come is underlined.
      </p>
      <Changed before={before} after={value} />
    </>
  );
}

function Part({ name, text }) {
  return (
    <>
      <p class="muted small">{name}:</p>
      <pre tabIndex={0} aria-label={name}>
        {text === "" ? <span class="muted">empty</span> : lines(text)}
      </pre>
    </>
  );
}

export function Detail({ row }) {
  const cut = Math.max(row.valueBytes ?? 0, row.beforeBytes ?? 0) > PREVIEW;
  return (
    <div class="inside">
      <dl>
        <div>
          <dt>Key</dt>
          <dd class="mono">{visible(row.key)}</dd>
        </div>
        <div>
          <dt>Time</dt>
          <dd>
            <Time ms={timeOfRow(row)} exact />
          </dd>
        </div>
        <div>
          <dt>Index</dt>
          <dd>{count(row.index)}</dd>
        </div>
        {row.beforeIndex !== undefined && (
          <div>
            <dt>Index before</dt>
            <dd>{count(row.beforeIndex)}</dd>
          </div>
        )}
        {row.ttl !== undefined && (
          <div>
            <dt>TTL</dt>
            <dd>
              {duration(row.ttl)}, until <Time ms={Date.parse(row.expiration)} />
            </dd>
          </div>
        )}
        {row.valueBytes !== undefined && (
          <div>
            <dt>Size</dt>
            <dd>{bytes(row.valueBytes)}</dd>
          </div>
        )}
      </dl>
      <Values row={row} />
      {cut && (
        <p class="muted small">
          Only the first {count(PREVIEW)} bytes of each value are here: open the key for all of it.
        </p>
      )}
      <p class="line">
        {row.value !== undefined && !cut && (
          <Button onPress={() => copy(row.value, "the value")}>Copy the value</Button>
        )}
        <Button onPress={() => copy(row.key, "the key")}>Copy the key</Button>
        <span class="muted small">
          Events do not say who made them; the audit log does (-audit-log).
        </span>
      </p>
    </div>
  );
}
