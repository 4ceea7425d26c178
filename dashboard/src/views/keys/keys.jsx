// The view of keys: a tree beside the directory or the key that is open.

import "./keys.css";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { nameOf, parentOf } from "../../server/api.js";
import { mustAsk } from "../../state/leaving.js";
import { alsoFollow } from "../../state/live.js";
import { addressOf, place, query } from "../../state/route.js";
import { HiddenSwitch } from "../../parts/hidden.jsx";
import { useNarrow } from "../../parts/narrow.js";
import { Failed, Skeleton } from "../../parts/states.jsx";
import { visible } from "../../parts/words.js";
import { Directory, KeyCommands } from "./directory.jsx";
import { wayTo } from "./names.js";
import { dirOf, useOpened } from "./opened.js";
import { SearchField, SearchPanel } from "./search.jsx";
import { Tree } from "./tree.jsx";
import { ValuePane } from "./value/value.jsx";

/** As wide as a phone, in pixels: then there is no tree. */
const PHONE = 700;

function Breadcrumbs() {
  const box = useRef(null);
  const key = place.value;
  useLayoutEffect(() => {
    box.current.scrollLeft = box.current.scrollWidth;
  }, [key]);
  return (
    <nav class="crumbs" aria-label="Breadcrumb" ref={box}>
      <ol>
        {[...wayTo(key), key].map((one) => (
          <li key={one}>
            <a
              href={addressOf("keys", one)}
              title={visible(one)}
              class="mono"
              aria-current={one === key ? "page" : undefined}
            >
              {one === "/" ? "/" : visible(nameOf(one))}
            </a>
          </li>
        ))}
      </ol>
    </nav>
  );
}

/** A key, or what is there while it is read, or what became of it. */
function Key({ opened }) {
  const key = place.value;
  const { node, index, error, gone, reload } = opened;
  const isShown = node && node.key === key && (!error || mustAsk());
  return (
    <>
      <KeyCommands dir={parentOf(key)} />
      {isShown ? (
        <ValuePane node={node} index={index} gone={gone} reload={reload} />
      ) : (
        <section class="card" aria-labelledby="place-title">
          <header>
            <h2 id="place-title" class="mono cut" aria-label={visible(key)}>
              {visible(nameOf(key))}
            </h2>
          </header>
          <div class="body">
            {error ? <Failed error={error} again={reload} /> : <Skeleton lines={6} />}
          </div>
        </section>
      )}
    </>
  );
}

export function KeysView() {
  const key = place.value;
  const opened = useOpened(key);
  const dir = dirOf(key, opened.isDir);
  const isPhone = useNarrow(PHONE);
  const search = query.value.get("search");
  useEffect(() => alsoFollow(dir), [dir]);
  const shown = search ? (
    <SearchPanel dir={dir} text={search} />
  ) : opened.isDir ? (
    <Directory key={key} dir={key} opened={opened} />
  ) : (
    <Key opened={opened} />
  );
  return (
    <div class="page keys">
      <h1 class="visually-hidden">Keys</h1>
      <div class="top-line">
        <Breadcrumbs />
        <SearchField dir={dir} />
        <HiddenSwitch />
      </div>
      <div class="sides">
        {!isPhone && <Tree dir={dir} />}
        <div class="main" id="open-place" tabIndex={-1}>
          {shown}
        </div>
      </div>
    </div>
  );
}
