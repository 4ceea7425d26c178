// Lists of which only the rows in sight are in the page.

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { scrolled } from "./memory.js";

/** Lists of which it is remembered how far they are scrolled. */
const SCROLLED_MAX = 500;
/** Rows that are drawn beyond those in sight. */
const AROUND = 8;
/** Browsers bound how high an element may be; beyond that rows share their pixels. */
const HEIGHT_MAX = 8_000_000;

/** How high a row is: what can be pressed. */
export function useRowHeight() {
  const read = () =>
    parseInt(getComputedStyle(document.documentElement).getPropertyValue("--target"), 10) || 32;
  const [height, setHeight] = useState(read);
  useLayoutEffect(() => {
    const query = matchMedia("(max-width: 700px), (pointer: coarse)");
    const changed = () => setHeight(read());
    query.addEventListener("change", changed);
    return () => query.removeEventListener("change", changed);
  }, []);
  return height;
}

/**
 * Follows how a box is scrolled, of which `name` is remembered. `count` rows of `row` pixels are in
 * it, below `head` pixels of something that stays. Gives `{ box, first, last, height, top(at),
 * reveal(at), inSight }`.
 */
export function useRows({ name, count, row, head = 0 }) {
  const box = useRef(null);
  const [{ top, sight }, setSeen] = useState({ top: scrolled.get(name) ?? 0, sight: 600 });
  const whole = count * row;
  const height = Math.min(HEIGHT_MAX, whole);
  const scale = whole <= HEIGHT_MAX ? 1 : (whole - sight) / Math.max(1, height - sight);

  const look = () => {
    const at = box.current;
    if (!at) return;
    scrolled.delete(name);
    scrolled.set(name, at.scrollTop);
    if (scrolled.size > SCROLLED_MAX) scrolled.delete(scrolled.keys().next().value);
    setSeen((seen) =>
      seen.top === at.scrollTop && seen.sight === at.clientHeight
        ? seen
        : { top: at.scrollTop, sight: at.clientHeight },
    );
  };
  useLayoutEffect(() => {
    const at = box.current;
    at.addEventListener("scroll", look, { passive: true });
    const sizes = new ResizeObserver(look);
    sizes.observe(at);
    return () => {
      at.removeEventListener("scroll", look);
      sizes.disconnect();
    };
  }, [name]);
  // Where it was, as soon as there is something to scroll.
  const wanted = useRef(scrolled.get(name) ?? 0);
  useLayoutEffect(() => {
    wanted.current = scrolled.get(name) ?? 0;
  }, [name]);
  useLayoutEffect(() => {
    if (wanted.current === null || count === 0) return;
    box.current.scrollTop = wanted.current;
    wanted.current = null;
    look();
  }, [name, count > 0]);

  const from = (top * scale) / row;
  const inSight = Math.max(1, Math.floor((sight - head) / row));
  const first = Math.max(0, Math.min(Math.floor(from), count - inSight) - AROUND);
  const last = Math.min(count, Math.floor(from) + inSight + AROUND + 1);
  return {
    box,
    first,
    last,
    height,
    inSight,
    /** Where the rows from `first` on are put. */
    top: scale === 1 ? first * row : Math.max(0, top - (from - first) * row),
    /** Scrolls so that a row is in sight; gives whether it had to. */
    reveal(at) {
      const now = box.current;
      if (!now || at === undefined) return false;
      const exact = now.scrollTop * scale;
      const below = (at + 1) * row - (now.clientHeight - head);
      if (at * row >= exact && below <= exact) return false;
      const isNear = at * row > exact - 3 * row && below < exact + 3 * row;
      const middle = at * row - (now.clientHeight - head) / 2;
      const wish = !isNear ? middle : at * row < exact ? at * row : below;
      now.scrollTop = wish / scale;
      look();
      return true;
    },
  };
}
