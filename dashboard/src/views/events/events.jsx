// The view of events, as they happen.

import "./events.css";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Button } from "../../parts/button.jsx";
import { HiddenSwitch } from "../../parts/hidden.jsx";
import { useCommands } from "../../parts/palette.jsx";
import { Empty, Failed } from "../../parts/states.jsx";
import { count, plural, quoted, sentence, visible } from "../../parts/words.js";
import { keyPath } from "../../server/api.js";
import { addressOf, goTo, place, query, setQuery } from "../../state/route.js";
import { user } from "../../state/session.js";
import { hidden } from "../../state/settings.js";
import { ACTIONS, filterOf } from "./filter.js";
import {
  begin,
  clear,
  goOn,
  isPaused,
  keepFirst,
  KEPT_MAX,
  losses,
  pause,
  rows,
  seen,
  state,
  waiting,
} from "./journal.js";
import { List, lossOf } from "./list.jsx";

const FIELDS = ["key", "action", "text"];

function words() {
  return Object.fromEntries(FIELDS.map((name) => [name, query.value.get(name) ?? ""]));
}

/** The directory that is followed, which can be typed. */
function Where() {
  const [text, setText] = useState(place.value);
  useEffect(() => setText(place.value), [place.value]);
  const send = (event) => {
    event.preventDefault();
    const dir = `/${text.split("/").filter(Boolean).join("/")}`;
    goTo(addressOf("events", dir, words()));
  };
  return (
    <form class="where-field" onSubmit={send}>
      <label class="field">
        Below
        <input
          type="text"
          class="mono"
          value={text}
          spellcheck={false}
          autoComplete="off"
          autocapitalize="none"
          onInput={(event) => setText(event.target.value)}
        />
      </label>
      <Button type="submit">Follow</Button>
    </form>
  );
}

function Filters() {
  const { key, action, text } = words();
  const typed = (name) => (event) => setQuery({ [name]: event.target.value });
  return (
    <div class="filters" role="search" aria-label="Filter events">
      <Where />
      <label class="field">
        Key
        <input
          type="search"
          data-search
          value={key}
          placeholder="part of a key, or *.conf"
          spellcheck={false}
          onInput={typed("key")}
        />
      </label>
      <label class="field">
        Action
        <select value={action} onChange={typed("action")}>
          <option value="">all</option>
          {ACTIONS.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <label class="field">
        Text in the value
        <input type="search" value={text} spellcheck={false} onInput={typed("text")} />
      </label>
    </div>
  );
}

const TAGS = { live: "good", broken: "warn", refused: "bad", connecting: "", off: "" };
const NAMES = {
  live: "live",
  broken: "reconnecting",
  refused: "refused",
  connecting: "connecting",
  off: "off",
};

function Controls({ shown }) {
  const { number, dropped } = waiting.value;
  const held = isPaused.value
    ? `, ${count(number + dropped)} waiting${dropped ? ` (the newest ${count(number)} are kept)` : ""}`
    : "";
  return (
    <header>
      <p class="line grow">
        <span class={`tag ${TAGS[state.value.state]}`}>
          {isPaused.value ? "paused" : NAMES[state.value.state]}
        </span>
        <span role="status">{state.value.state !== "live" && sentence(state.value.text)}</span>
        <span class="muted">
          {shown === rows.value.length
            ? plural(shown, "event")
            : `${count(shown)} of ${plural(rows.value.length, "event")}`}
          {seen.value > KEPT_MAX && ` (of ${count(seen.value)} that came)`}
          {held}
        </span>
      </p>
      <HiddenSwitch />
      <Button kind={isPaused.value ? "primary" : ""} onPress={isPaused.value ? goOn : pause}>
        {isPaused.value ? "Go on" : "Pause"}
      </Button>
      <Button onPress={clear}>Clear</Button>
    </header>
  );
}

function Nothing() {
  if (rows.value.length)
    return (
      <Empty title="No event matches">
        Change the filter above. {plural(rows.value.length, "event")} came.
      </Empty>
    );
  const dir = place.value === "/" ? "" : place.value;
  const address = `${location.origin}${keyPath(`${dir}/hello`)}`;
  return (
    <Empty title="Waiting for events" command={`curl ${quoted(address)} -XPUT -d value=world`}>
      Changes below {visible(place.value)} are shown here as they happen. To see one:
    </Empty>
  );
}

export function EventsView() {
  const [isAgain, setAgain] = useState(0);
  const dir = place.value;
  useEffect(() => begin(dir, user.value), [dir, user.value, isAgain]);
  const { key, action, text } = words();
  const showsHidden = hidden.value === "yes";
  const filter = useMemo(
    () => filterOf({ key, action, text, hidden: showsHidden, dir }),
    [key, action, text, showsHidden, dir],
  );
  keepFirst(filter);
  const found = useMemo(() => rows.value.filter(filter), [rows.value, filter]);
  const list = useRef(null);
  useCommands(
    [
      {
        label: isPaused.value ? "Go on with events" : "Pause events",
        keys: "p",
        run: isPaused.value ? goOn : pause,
      },
      { label: "Clear events", run: clear },
    ],
    [isPaused.value],
  );
  const isRefused = state.value.state === "refused";
  return (
    <div class="page events">
      <h1>Events</h1>
      <section class="card" aria-label="Events">
        <Filters />
        <Controls shown={found.length} />
        {losses.value.map((loss) => (
          <p key={loss.id} class="loss-note" role="status">
            {lossOf(loss)}
          </p>
        ))}
        {isRefused && (
          <Failed error={new Error(state.value.text)} again={() => setAgain(isAgain + 1)} />
        )}
        {!isRefused && found.length === 0 && <Nothing />}
        {found.length > 0 && <List rows={found} place={list} />}
      </section>
    </div>
  );
}
