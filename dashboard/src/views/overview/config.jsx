// The configuration of the cluster, edited against the version that was read.

import { useEffect, useRef, useState } from "preact/hooks";
import { request } from "../../server/api.js";
import { Button } from "../../parts/button.jsx";
import { mayDiscard } from "../../parts/dialog.jsx";
import { Failed, Skeleton } from "../../parts/states.jsx";
import { sentence } from "../../parts/words.js";
import { isSilent, isStuck, majority } from "../../state/health.js";
import { guard } from "../../state/leaving.js";
import { counts, readOnlyReason, user, whyNotAdmin } from "../../state/session.js";
import { say } from "../../state/toasts.js";

const PATH = "/v2/admin/config";
const CHANGED = 412;
const FIELDS = [
  {
    name: "activeSize",
    text: "Voting members at most",
    hint: "Other machines are standbys.",
    min: 3,
    isWhole: true,
    unit: "",
  },
  {
    name: "removeDelay",
    text: "Remove a silent member after",
    hint: "Never one that the majority needs.",
    min: 2,
    unit: "s",
  },
  {
    name: "syncInterval",
    text: "Standby check interval",
    hint: "How often a standby asks to become a member.",
    min: 1,
    unit: "s",
  },
];

/** The configuration and its version: `{ version, values }`. */
async function read() {
  const answer = await request(PATH);
  return { version: answer.headers.get("ETag"), values: await answer.json() };
}

/**
 * Saves fields if the configuration is still that version. Gives what `read` would, null if not.
 */
async function save(fields, version) {
  const headers = version === null ? {} : { "If-Match": version };
  try {
    const answer = await request(PATH, { method: "PUT", json: fields, headers });
    return { version: answer.headers.get("ETag"), values: await answer.json() };
  } catch (error) {
    if (error.status === CHANGED) return null;
    throw error;
  }
}

/** What is wrong with what was typed into a field; null if nothing is. */
function wrongIn({ min, isWhole, unit }, typed) {
  const number = Number(typed);
  if (typed.trim() === "" || !Number.isFinite(number)) return "Enter a number.";
  if (isWhole && !Number.isInteger(number)) return "Enter a whole number.";
  return number < min ? `At least ${min}${unit && ` ${unit}`}.` : null;
}

/** Why nothing can be saved; null if it can. Who is not logged in is asked for that. */
function whyNotSave() {
  if (isSilent.value) return "This machine does not answer.";
  if (isStuck.value || majority.value.isLost) return "There is no leader: no change is possible.";
  return counts.value && user.value === null ? readOnlyReason.value : whyNotAdmin.value;
}

/** What others have saved in the meantime, beside what was typed. */
function Conflict({ fields, typed, theirs, take, keep }) {
  return (
    <div class="conflict" role="alert">
      <p class="wrong">Not saved: somebody else has changed the configuration.</p>
      <table>
        <thead>
          <tr>
            <th scope="col">Field</th>
            <th scope="col" class="number">
              Typed here
            </th>
            <th scope="col" class="number">
              Saved by another
            </th>
          </tr>
        </thead>
        <tbody>
          {fields.map(({ name }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td class="number">{typed[name]}</td>
              <td class="number">{theirs[name]}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <div class="line">
        <Button onPress={take}>Take theirs</Button>
        <Button onPress={keep}>Replace theirs</Button>
      </div>
    </div>
  );
}

function Field({ field, typed, wrong, isOff, type }) {
  const { name, text, hint, unit } = field;
  return (
    <label class="field">
      <span>
        {text}
        {unit && `, ${unit}`} <code class="muted">{name}</code>
      </span>
      <input
        type="text"
        inputMode="decimal"
        name={name}
        value={typed}
        disabled={isOff}
        role="spinbutton"
        aria-valuenow={Number.isFinite(Number(typed)) ? Number(typed) : undefined}
        aria-valuemin={field.min}
        aria-label={`${name}: ${text}`}
        aria-invalid={wrong ? "true" : undefined}
        aria-describedby={`config-${name}`}
        autoComplete="off"
        onInput={(event) => type(name, event.target.value)}
      />
      <span class={wrong ? "wrong small" : "hint"} id={`config-${name}`}>
        {wrong ?? hint}
      </span>
    </label>
  );
}

const textsOf = (values) =>
  Object.fromEntries(FIELDS.map(({ name }) => [name, String(values[name])]));

/** What is typed, against what was read, and the ways to save it. */
function useConfig(first) {
  const [base, setBase] = useState(first);
  const [typed, setTyped] = useState(() => textsOf(first.values));
  const [theirs, setTheirs] = useState(null);
  const [error, setError] = useState(null);
  const changed = FIELDS.filter(({ name }) => typed[name].trim() !== String(base.values[name]));
  const isChanged = useRef(false);
  isChanged.current = changed.length > 0;
  useEffect(
    () =>
      guard({
        isChanged: () => isChanged.current,
        leave: async () => !isChanged.current || mayDiscard(),
      }),
    [],
  );
  const settle = (now) => {
    setBase(now);
    setTyped(textsOf(now.values));
    setTheirs(null);
  };
  const send = async (from) => {
    const fields = Object.fromEntries(changed.map(({ name }) => [name, Number(typed[name])]));
    const done = await save(fields, from.version);
    if (done) {
      settle(done);
      return say("Configuration saved.");
    }
    const now = await read();
    const isOvertaken = ({ name }) =>
      now.values[name] !== from.values[name] && now.values[name] !== fields[name];
    // Whoever changed another field is no hindrance.
    return changed.some(isOvertaken) ? setTheirs(now) : send(now);
  };
  const submit = async (from) => {
    setError(null);
    await send(from).catch(setError);
  };
  const type = (name, text) => setTyped({ ...typed, [name]: text });
  return { base, typed, changed, theirs, error, type, settle, submit };
}

function Form({ first }) {
  const { base, typed, changed, theirs, error, type, settle, submit } = useConfig(first);
  const wrong = Object.fromEntries(
    FIELDS.map((field) => [field.name, wrongIn(field, typed[field.name])]),
  );
  const why = whyNotSave();
  const isWrong = Object.values(wrong).some(Boolean);
  const reason = why ?? (isWrong ? "A field is not valid." : null);
  const send = (event) => {
    event.preventDefault();
    if (!reason && !theirs) submit(base);
  };
  const shown =
    theirs &&
    FIELDS.filter(
      ({ name }) =>
        theirs.values[name] !== base.values[name] || changed.some((one) => one.name === name),
    );
  return (
    <form class="config" noValidate onSubmit={send}>
      <div class="fields">
        {FIELDS.map((field) => (
          <Field
            key={field.name}
            field={field}
            typed={typed[field.name]}
            wrong={wrong[field.name]}
            isOff={readOnlyReason.value !== null}
            type={type}
          />
        ))}
      </div>
      {error && (
        <p class="wrong" role="alert">
          {sentence(error.message)}
        </p>
      )}
      {theirs && (
        <Conflict
          fields={shown}
          typed={typed}
          theirs={theirs.values}
          take={() => settle(theirs)}
          keep={() => submit(theirs)}
        />
      )}
      <div class="line">
        {!readOnlyReason.value && !theirs && (
          <Button reason={reason} onPress={() => submit(base)}>
            Save
          </Button>
        )}
        {why && <p class="muted">{sentence(why)}</p>}
        {changed.length > 0 && !theirs && !why && (
          <p class="muted">Not saved yet: {changed.map(({ name }) => name).join(", ")}</p>
        )}
      </div>
    </form>
  );
}

export function Config() {
  const [first, setFirst] = useState(null);
  const [error, setError] = useState(null);
  const load = () => {
    setError(null);
    return read().then(setFirst, setError);
  };
  useEffect(() => {
    load();
  }, []);
  return (
    <section class="card" aria-label="Configuration">
      <header>
        <h2>Configuration</h2>
      </header>
      <div class="body">
        {first && <Form first={first} />}
        {!first && (error ? <Failed error={error} again={load} /> : <Skeleton lines={4} />)}
      </div>
    </section>
  );
}
