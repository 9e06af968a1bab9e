// A row of controls that is one stop of the Tab key: the arrows go along it, as in the toolbar pattern of WAI-ARIA.

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

const CONTROLS = "button:not(details *), select, summary"; // what a list holds that opens is no part of the row

interface Props {
  label: string;
  class?: string;
  /** Where the Tab key comes to at first, if not to the first control. */
  first?: string;
  children: ComponentChildren;
}

export function Tools({ label, class: name, first, children }: Props) {
  const row = useRef<HTMLDivElement>(null);
  const at = useRef<HTMLElement | null>(null); // where the Tab key comes to
  const controls = (): HTMLElement[] => [...(row.current?.querySelectorAll<HTMLElement>(CONTROLS) ?? [])];
  const stopAt = (control: HTMLElement | undefined): void => {
    at.current = control ?? null;
    for (const each of controls()) each.tabIndex = each === control ? 0 : -1;
  };
  useLayoutEffect(() => {
    const all = controls();
    stopAt(all.find((control) => control === at.current) ?? all.find((control) => first && control.matches(first)) ?? all[0]);
  });
  const onKeyDown = (e: KeyboardEvent): void => {
    const all = controls();
    const here = all.indexOf(e.target as HTMLElement);
    const to = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: all.length - 1 }[e.key];
    // After a click the arrows go on moving through the events: only who came by keyboard sees where the focus is.
    if (to === undefined || here < 0 || e.shiftKey || e.ctrlKey || e.metaKey || e.altKey || !came.byKeyboard) return;
    e.preventDefault();
    all[(to + all.length) % all.length]?.focus();
  };
  return (
    <div
      class={name}
      role="toolbar"
      aria-label={label}
      ref={row}
      onFocusIn={({ target }) => controls().includes(target as HTMLElement) && stopAt(target as HTMLElement)}
      onKeyDown={onKeyDown}
    >
      {children}
    </div>
  );
}

/** How the focus came to where it is. */
const came = { byKeyboard: true };
addEventListener("pointerdown", () => (came.byKeyboard = false), true);
addEventListener("keydown", (e) => e.key === "Tab" && (came.byKeyboard = true), true);
