// Whether the window is narrower than something needs.

import { useEffect, useState } from "preact/hooks";

/**
 * Whether the window is at most so many pixels wide; who reads it is drawn anew when that changes.
 */
export function useNarrow(pixels) {
  const query = `(max-width: ${pixels}px)`;
  const [isNarrow, setNarrow] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const list = matchMedia(query);
    const changed = () => setNarrow(list.matches);
    changed();
    list.addEventListener("change", changed);
    return () => list.removeEventListener("change", changed);
  }, [query]);
  return isNarrow;
}
