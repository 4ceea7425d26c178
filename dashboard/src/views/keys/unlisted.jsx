// The way to nodes in a directory that may not be listed: by their names.

import { useRef } from "preact/hooks";
import { sentence } from "../../parts/words.js";
import { addressOf, goTo } from "../../state/route.js";

export function Unlisted({ error, within = "" }) {
  const name = useRef(null);
  const go = (event) => {
    event.preventDefault();
    const key = `${within}/${name.current.value}`.split("/").filter(Boolean).join("/");
    goTo(addressOf("keys", `/${key}`));
  };
  return (
    <form class="unlisted" onSubmit={go}>
      <p class="small" role="status">
        {sentence(`${error.message} What is in it can be opened by its name.`)}
      </p>
      <div class="line">
        <label class="field grow">
          Key or directory
          <input type="text" ref={name} autoComplete="off" spellcheck={false} />
        </label>
        <button type="submit" class="button">
          Go
        </button>
      </div>
    </form>
  );
}
