// The switch of hidden nodes, which is one for all views.

import { hidden } from "../state/settings.js";

export function HiddenSwitch() {
  return (
    <label class="choice">
      <input
        type="checkbox"
        checked={hidden.value === "yes"}
        onChange={(event) => {
          hidden.value = event.target.checked ? "yes" : "no";
        }}
      />
      Hidden nodes
    </label>
  );
}
