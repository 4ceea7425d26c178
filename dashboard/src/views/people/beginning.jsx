// How to begin with users, where they do not count yet.

import { Button } from "../../parts/button.jsx";
import { Command } from "../../parts/copy.jsx";
import { enable } from "./actions.js";
import { openRoot } from "./forms.jsx";

export function Beginning({ all, why, after }) {
  const hasRoot = all.users.some((one) => one.name === "root");
  const guest = all.roles.find((one) => one.name === "guest");
  const base = `${location.origin}/v2/auth`;
  return (
    <section class="card" aria-label="How to begin">
      <header>
        <h2>Everybody may read and change everything</h2>
      </header>
      <div class="body beginning">
        <p>
          Whoever reaches a client port may do what this page does. To ask for names and passwords:
        </p>
        <ol>
          <li>
            <p>
              <b>Create the user root.</b> It may do everything.{" "}
              {hasRoot && <span class="tag good">done</span>}
            </p>
            {!hasRoot && (
              <>
                <Command
                  text={`curl ${base}/users/root -XPUT -d '{"user":"root","password":"..."}'`}
                />
                <p>
                  <Button
                    kind="primary"
                    reason={why}
                    onPress={() => {
                      openRoot().then(after);
                    }}
                  >
                    Create the user root
                  </Button>
                </p>
              </>
            )}
          </li>
          <li>
            <p>
              <b>Make roles and users for your programs</b>, below: a role is a list of patterns of
              keys that may be read or written.
            </p>
            <Command
              text={`curl ${base}/roles/app -XPUT -d '{"role":"app","permissions":{"kv":{"read":["/app/*"],"write":["/app/*"]}}}'`}
            />
            <Command
              text={`curl ${base}/users/ann -XPUT -d '{"user":"ann","password":"...","roles":["app"]}'`}
            />
          </li>
          <li>
            <p>
              <b>Turn it on.</b> From then on requests without a name may do only what the role
              guest allows.
            </p>
            <p>
              <Button
                kind={hasRoot ? "primary" : ""}
                reason={why ?? (hasRoot ? null : "Create the user root first.")}
                onPress={() => {
                  enable(guest?.rights.length > 0);
                }}
              >
                Turn authentication on...
              </Button>
            </p>
          </li>
        </ol>
      </div>
    </section>
  );
}
