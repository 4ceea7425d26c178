// The frame around the views: views, banner, palette, messages, login.

import { useEffect, useRef } from "preact/hooks";
import { cluster, isSilent } from "../state/health.js";
import { lastAddress, place, view } from "../state/route.js";
import { ask, counts, logOut, lookAgain, user } from "../state/session.js";
import { settings, theme, THEMES, zone } from "../state/settings.js";
import { dismiss, toasts } from "../state/toasts.js";
import { Banners } from "./banners.jsx";
import { Button, Menu } from "./button.jsx";
import { Dialogs } from "./dialog.jsx";
import { LoginForm } from "./login.jsx";
import { openPalette, openShortcuts, useShortcuts } from "./palette.jsx";
import { sentence, visible } from "./words.js";

function Views({ views }) {
  return (
    <nav class="views" aria-label="Views">
      {views
        .filter((one) => one.isShown?.() ?? true)
        .map(({ name, title }) => (
          <a
            key={name}
            aria-current={view.value === name ? "page" : undefined}
            href={view.value === name ? `#/${name}` : lastAddress(name)}
          >
            {title}
          </a>
        ))}
    </nav>
  );
}

function Who() {
  if (!counts.value) return null;
  return user.value === null ? (
    <p class="line who">
      <span class="muted small">Not logged in</span>
      <Button onPress={() => ask()}>Log in</Button>
    </p>
  ) : (
    <p class="line who">
      <span class="small">
        Logged in as <b>{visible(user.value)}</b>
      </span>
      <Button onPress={logOut}>Log out</Button>
    </p>
  );
}

function Where() {
  const { name, version, readOnly } = settings.value ?? {};
  const dot = isSilent.value ? "bad" : cluster.value?.leader === "" ? "warn" : "";
  return (
    <>
      <p class="where">{name !== undefined && `${visible(name)}, version ${version}`}</p>
      {dot && <span class={`tag ${dot}`}>{dot === "bad" ? "no answer" : "no leader"}</span>}
      {readOnly && <span class="tag">read-only</span>}
    </>
  );
}

function Choices() {
  const items = [
    ...THEMES.map((name) => ({
      label: `Theme: ${name}${theme.value === name ? " (now)" : ""}`,
      run: () => {
        theme.value = name;
      },
    })),
    {
      label: zone.value === "utc" ? "Times in my time zone" : "Times in UTC",
      run: () => {
        zone.value = zone.value === "utc" ? "local" : "utc";
      },
    },
    !counts.value && { label: "Users and rights", href: "#/people" },
    { label: "Keyboard shortcuts", run: openShortcuts },
  ];
  return <Menu label="Settings" items={items} />;
}

function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map(({ id, text, kind, action }) => (
        <div key={id} class={`toast ${kind}`}>
          <p>{sentence(text)}</p>
          {action && (
            <Button
              onPress={() => {
                dismiss(id);
                return action.run();
              }}
            >
              {action.label}
            </Button>
          )}
          <Button kind="plain icon" label="Dismiss" onPress={() => dismiss(id)}>
            {"\u2715"}
          </Button>
        </div>
      ))}
    </div>
  );
}

/** The page. `views` are `{ name, title, View, isShown }`; the first is shown for unknown names. */
export function Shell({ views }) {
  const main = useRef(null);
  useShortcuts(views);
  const shown = views.find((one) => one.name === view.value) ?? views[0];
  const where = place.value === "/" ? "" : `${visible(place.value)} - `;
  const title = `${where}${shown.title} - Stead ${settings.value?.name ?? ""}`;
  useEffect(() => {
    document.title = title;
  }, [title]);
  // Users may have been switched off, or others' rights have changed.
  useEffect(() => {
    lookAgain().catch(() => {});
  }, [view.value]);
  const skip = (event) => {
    event.preventDefault();
    main.current.focus();
  };
  return (
    <>
      <a class="skip" href="#view" onClick={skip}>
        Skip to content
      </a>
      <header class="top">
        <p class="brand">
          <img src="icon.svg" alt="" width="24" height="24" /> <span>Stead</span>
        </p>
        <Views views={views} />
        <div class="rest">
          <Where />
          <Who />
          <Button kind="plain" onPress={() => openPalette(views)}>
            Go to <kbd>Ctrl K</kbd>
          </Button>
          <Choices />
        </div>
      </header>
      <Banners />
      <main id="view" tabIndex={-1} ref={main}>
        <shown.View key={shown.name} />
      </main>
      <Dialogs />
      <LoginForm />
      <Toasts />
    </>
  );
}
