// A key: its value in any format, its facts, and what can be done with it.

import "./value.css";
import { useEffect, useState } from "preact/hooks";
import { nameOf, parentOf, keyPath } from "../../../server/api.js";
import { remove, set } from "../../../server/keys.js";
import { timeOf } from "../../../server/times.js";
import { addressOf, goTo } from "../../../state/route.js";
import { whyNotWrite } from "../../../state/session.js";
import { Button, Menu } from "../../../parts/button.jsx";
import { Code } from "../../../parts/code.jsx";
import { copy, download } from "../../../parts/copy.jsx";
import { confirmed } from "../../../parts/dialog.jsx";
import { Time, Until } from "../../../parts/time.jsx";
import { bytes, count, quoted, visible } from "../../../parts/words.js";
import { draftOf } from "./drafts.js";
import { Edit } from "./edit.jsx";
import { formatsOf, isDamaged, shownAs } from "./formats.js";
import { offerUndo } from "./undo.js";

function curlOf(key) {
  return `curl ${quoted(`${location.origin}${keyPath(key)}`)}`;
}

async function removeKey(node) {
  const isWanted = await confirmed({
    title: `Delete ${visible(node.key)}?`,
    text: "The key is deleted, unless it changes in the meantime.",
    action: "Delete",
  });
  if (!isWanted) return;
  const event = await remove(node.key, { prevIndex: node.modifiedIndex });
  offerUndo([event], `${visible(node.key)} was deleted.`);
  goTo(addressOf("keys", parentOf(node.key)));
}

async function makeAgain(node) {
  const event = await set(node.key, { value: node.value, prevExist: "false" });
  offerUndo([event], `${visible(node.key)} was created.`);
}

function Index({ index }) {
  const ms = timeOf(index);
  return (
    <>
      {count(index)}
      {ms && (
        <span class="muted">
          , <Time ms={ms} />
        </span>
      )}
    </>
  );
}

function Facts({ node, gone }) {
  const size = new Blob([node.value]).size;
  const facts = [
    ["Size", <span title={`${count(size)} bytes`}>{bytes(size)}</span>],
    ["Modified at index", <Index index={node.modifiedIndex} />],
    ["Created at index", <Index index={node.createdIndex} />],
    [
      "TTL",
      gone === "expired" ? (
        "has expired"
      ) : node.expiration === undefined ? (
        "never expires"
      ) : (
        <>
          expires in <Until ms={Date.parse(node.expiration)} />
        </>
      ),
    ],
  ];
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function actionsOf({ node, gone, reload, isEditing }) {
  const why =
    whyNotWrite(node.key) ??
    (gone ? `The key ${gone === "expired" ? "has expired" : "was deleted"}.` : null);
  return [
    { label: "Copy the value", run: () => copy(node.value, "the value") },
    { label: "Copy the key", run: () => copy(node.key, "the key") },
    { label: "Copy as a curl command", run: () => copy(curlOf(node.key), "the command") },
    { label: "Download", run: () => download(nameOf(node.key) || "root", [node.value]) },
    { label: "Follow its events", href: addressOf("events", node.key) },
    { label: "Reload", run: reload },
    {
      label: "Delete",
      kind: "danger",
      reason: why ?? (isEditing ? "It is being edited." : null),
      run: () => removeKey(node),
    },
  ];
}

/** The value, with the choice of how it is shown. */
function Shown({ node, choice, setChoice }) {
  const formats = formatsOf(node.value);
  const format = formats.some(([name]) => name === choice.format) ? choice.format : "auto";
  const { text, language } = shownAs(node.value, format);
  const check = (name, label) => (
    <label class="choice">
      <input
        type="checkbox"
        checked={choice[name]}
        onChange={(event) => setChoice({ ...choice, [name]: event.target.checked })}
      />
      {label}
    </label>
  );
  return (
    <>
      <div class="line formats">
        <label class="choice">
          Format
          <select
            value={format}
            onChange={(event) => setChoice({ ...choice, format: event.target.value })}
          >
            {formats.map(([name, label]) => (
              <option key={name} value={name}>
                {label}
              </option>
            ))}
          </select>
        </label>
        {check("wrap", "Wrap lines")}
        {check("numbers", "Line numbers")}
      </div>
      {isDamaged(node.value) && (
        <p class="note">
          Bytes of this value were no UTF-8 when it was written, and the server has replaced them.
          It is not edited as text, which could not bring them back: write it again, for example in
          base64.
        </p>
      )}
      {node.value === "" ? (
        <p class="muted nothing">(empty)</p>
      ) : (
        <Code
          text={text}
          label={`Value of ${visible(node.key)}`}
          language={language}
          wrap={choice.wrap}
          numbers={choice.numbers}
        />
      )}
    </>
  );
}

/** How values are shown, for all keys until the page is loaded again. */
let kept = { format: "auto", wrap: true, numbers: true };

/**
 * `node` is the whole node, `gone` null, "deleted" or "expired", `reload` reads it again. While it
 * is edited the edit stays, whatever becomes of the key.
 */
export function ValuePane({ node, gone = null, reload }) {
  const [isEditing, setEditing] = useState(() => draftOf(node.key) !== null);
  const [choice, choose] = useState(kept);
  useEffect(() => {
    setEditing(draftOf(node.key) !== null);
  }, [node.key]);
  const setChoice = (next) => {
    kept = next;
    choose(next);
  };
  const end = (event) => {
    setEditing(false);
    // What was saved comes by the stream too, where there is one.
    if (event || gone) reload();
  };
  const why = whyNotWrite(node.key);
  const damaged = isDamaged(node.value)
    ? "Its bytes were replaced: it is not edited as text."
    : null;
  return (
    <section class="value card" aria-labelledby="value-title">
      <header>
        <h1 id="value-title" class="mono">
          {visible(node.key)}
        </h1>
        {gone && <span class="tag bad">{gone === "expired" ? "has expired" : "was deleted"}</span>}
        {!isEditing && !gone && (
          <Button kind="primary" reason={why ?? damaged} onPress={() => setEditing(true)}>
            Edit
          </Button>
        )}
        {!isEditing && gone && (
          <Button reason={why} onPress={() => makeAgain(node)}>
            Create it again
          </Button>
        )}
        <Menu label="Actions of this key" items={actionsOf({ node, gone, reload, isEditing })} />
      </header>
      <div class="body">
        <Facts node={node} gone={gone} />
        {isEditing && <Edit key={node.key} node={node} wrap={choice.wrap} onEnd={end} />}
        {!isEditing && !gone && <Shown node={node} choice={choice} setChoice={setChoice} />}
        {!isEditing && gone && (
          <details>
            <summary>Its last value</summary>
            <Shown node={node} choice={choice} setChoice={setChoice} />
          </details>
        )}
      </div>
    </section>
  );
}
