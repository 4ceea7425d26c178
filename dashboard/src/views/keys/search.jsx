// The field for a search, and what was found.

import { useEffect, useRef } from "preact/hooks";
import { addressOf, goTo, query } from "../../state/route.js";
import { hidden } from "../../state/settings.js";
import { Failed } from "../../parts/states.jsx";
import { Button } from "../../parts/button.jsx";
import { count, plural, visible } from "../../parts/words.js";
import { KindIcon } from "./icons.jsx";
import { HITS_MAX, partOf, round, searchAgain, searchOf } from "./searching.js";

/** The field; what is searched is in the address. */
export function SearchField({ dir }) {
  const field = useRef(null);
  const now = query.value.get("search") ?? "";
  useEffect(() => {
    field.current.value = now;
  }, [now]);
  const start = (event) => {
    event.preventDefault();
    const text = field.current.value;
    if (text === now && text !== "") searchAgain();
    else goTo(addressOf("keys", dir, { search: text }));
  };
  const key = (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    if (field.current.value === "") field.current.blur();
    field.current.value = "";
  };
  return (
    <form class="search" role="search" onSubmit={start}>
      <input
        type="search"
        ref={field}
        data-search
        defaultValue={now}
        onKeyDown={key}
        aria-label={`Search in names and values below ${visible(dir)}`}
        placeholder="Search names and values"
        autoComplete="off"
        spellcheck={false}
      />
      <button type="submit" class="button">
        Search
      </button>
    </form>
  );
}

function Marked({ part }) {
  const { before, match, after } = part;
  return (
    <>
      {visible(before)}
      {match && <mark>{visible(match)}</mark>}
      {visible(after)}
    </>
  );
}

function Hit({ hit, wanted }) {
  const { key, isDir, name, part } = hit;
  const inName = partOf(name, wanted);
  const way = key.slice(0, key.length - name.length);
  // The whole name is shown: what was found in it is only marked.
  const at = inName ? name.toLowerCase().indexOf(wanted) : 0;
  const end = at + wanted.length;
  const named = inName && {
    before: way + name.slice(0, at),
    match: name.slice(at, end),
    after: name.slice(end),
  };
  return (
    <li>
      <a href={addressOf("keys", key)} aria-label={visible(key)}>
        <KindIcon isDir={isDir} />
        <span class="mono path">{named ? <Marked part={named} /> : visible(key)}</span>
      </a>
      {!isDir && (
        <p class="mono small muted part">
          <Marked part={part} />
        </p>
      )}
    </li>
  );
}

function said({ state, found, looked }) {
  if (state === "running" && looked === 0) return "Reading the directory...";
  const shown = found > HITS_MAX ? `, showing the first ${count(HITS_MAX)}` : "";
  const sum = `Found ${count(found)} in ${plural(looked, "node")}`;
  if (state === "running") return `${sum} so far${shown}...`;
  return `${state === "cancelled" ? "Cancelled. " : ""}${sum}${shown}.`;
}

/** What was found below a directory. */
export function SearchPanel({ dir, text }) {
  round.value;
  const search = searchOf(dir, text, hidden.value === "yes");
  const now = search.state.value;
  return (
    <section class="card found" aria-labelledby="found-title">
      <header>
        <h2 id="found-title" class="mono cut">{`"${visible(text)}" below ${visible(dir)}`}</h2>
        {now.state === "running" ? (
          <Button onPress={() => search.cancel()}>Cancel</Button>
        ) : (
          <Button onPress={searchAgain}>Search again</Button>
        )}
        <a class="button" href={addressOf("keys", dir)}>
          Close
        </a>
      </header>
      <p class="counts small muted" role="status">
        {said(now)}
      </p>
      {now.error && <Failed error={now.error} again={searchAgain} />}
      <ul class="hits">
        {now.hits.map((hit) => (
          <Hit key={hit.key} hit={hit} wanted={text.toLowerCase()} />
        ))}
      </ul>
    </section>
  );
}
