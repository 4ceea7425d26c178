// Buttons, and menus of actions.

import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { sayError } from "../state/toasts.js";

/**
 * A button. With a `reason` it can be reached and says why it does nothing. While what it began is
 * on its way it does not begin it again, and an error of it is shown.
 */
export function Button({ kind = "", label, reason, onPress, type = "button", children, ...rest }) {
  const [isBusy, setBusy] = useState(false);
  const press = async (event) => {
    if (reason || isBusy) return event.preventDefault();
    const begun = onPress?.(event);
    if (!begun?.then) return;
    setBusy(true);
    try {
      await begun;
    } catch (error) {
      sayError(error);
    } finally {
      setBusy(false);
    }
  };
  const isOff = Boolean(reason) || isBusy;
  return (
    <button
      type={type}
      class={`button ${kind}`}
      aria-label={label}
      title={reason ?? label}
      aria-disabled={isOff ? "true" : undefined}
      onClick={press}
      {...rest}
    >
      {children}
    </button>
  );
}

/** Puts a menu below its button, or above where there is no room, inside the window. */
function put(items, button) {
  const [from, size] = [button.getBoundingClientRect(), items.getBoundingClientRect()];
  const below = from.bottom + 4;
  const top = below + size.height > innerHeight ? Math.max(4, from.top - 4 - size.height) : below;
  items.style.top = `${top}px`;
  const right = Math.min(from.right, innerWidth - 4);
  items.style.left = `${Math.max(4, right - size.width)}px`;
}

/** What an item of a menu is made of: a link where it has an address. */
function Item({ item, close }) {
  const why = item.reason && <span class="reason muted">{item.reason}</span>;
  const common = { role: "menuitem", tabIndex: -1, class: item.kind };
  if (item.href && !item.reason)
    return (
      <a {...common} href={item.href} onClick={() => close(false)}>
        {item.label}
      </a>
    );
  const press = () => {
    if (item.reason) return;
    close(true);
    Promise.resolve(item.run()).catch(sayError);
  };
  return (
    <button
      {...common}
      type="button"
      aria-disabled={item.reason ? "true" : undefined}
      onClick={press}
    >
      {item.label}
      {why}
    </button>
  );
}

/**
 * A button that opens a menu. `items` are `{ label, run | href, reason, kind }`; those that are
 * null are left out. Arrow keys, Home, End and the first letter move in it, Escape closes it.
 */
export function Menu({ label, items, children, kind = "plain icon" }) {
  const [isOpen, setOpen] = useState(false);
  const id = useId();
  const box = useRef(null);
  const button = useRef(null);
  const list = useRef(null);
  const close = (withFocus) => {
    setOpen(false);
    if (withFocus) button.current?.focus();
  };

  useLayoutEffect(() => {
    if (!isOpen) return;
    put(list.current, button.current);
    list.current.querySelector("[role=menuitem]")?.focus();
  }, [isOpen]);

  useEffect(() => {
    if (!isOpen) return undefined;
    const outside = (event) => {
      if (!box.current?.contains(event.target)) setOpen(false);
    };
    const moved = () => setOpen(false);
    addEventListener("pointerdown", outside);
    addEventListener("scroll", moved, true);
    return () => {
      removeEventListener("pointerdown", outside);
      removeEventListener("scroll", moved, true);
    };
  }, [isOpen]);

  const key = (event) => {
    const all = [...list.current.querySelectorAll("[role=menuitem]")];
    const at = all.indexOf(document.activeElement);
    const steps = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 };
    if (event.key in steps) all[(steps[event.key] + all.length) % all.length].focus();
    else if (event.key === "Escape") close(true);
    else if (event.key === "Tab") return setOpen(false);
    else if (/^\S$/.test(event.key)) {
      const found = [...all.slice(at + 1), ...all].find((one) =>
        one.textContent.toLowerCase().startsWith(event.key.toLowerCase()),
      );
      found?.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <div class="menu" ref={box}>
      <button
        type="button"
        ref={button}
        class={`button ${kind}`}
        aria-label={label}
        title={label}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        aria-controls={isOpen ? id : undefined}
        onClick={() => setOpen(!isOpen)}
      >
        {children ?? <Dots />}
      </button>
      {isOpen && (
        <div class="items" role="menu" id={id} aria-label={label} ref={list} onKeyDown={key}>
          {items.filter(Boolean).map((item) => (
            <Item key={item.label} item={item} close={close} />
          ))}
        </div>
      )}
    </div>
  );
}

function Dots() {
  return (
    <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true" fill="currentColor">
      <circle cx="8" cy="3" r="1.5" />
      <circle cx="8" cy="8" r="1.5" />
      <circle cx="8" cy="13" r="1.5" />
    </svg>
  );
}
