// A list of buttons that opens under its own: Escape closes it, and so does a press elsewhere.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

export function Menu({ name, children }: { name: string; children: ComponentChildren }) {
  const menu = useRef<HTMLDetailsElement>(null);
  const close = (): void => menu.current?.removeAttribute("open");
  useEffect(() => {
    const elsewhere = (e: Event): void => {
      if (menu.current && !e.composedPath().includes(menu.current)) close();
    };
    document.addEventListener("pointerdown", elsewhere);
    return () => document.removeEventListener("pointerdown", elsewhere);
  }, []);
  const leave = (e: KeyboardEvent): void => {
    if (e.key !== "Escape" || !menu.current?.open) return;
    close();
    menu.current.querySelector("summary")?.focus();
    e.preventDefault();
  };
  // What comes of a choice may come later: until then the focus is where the list was.
  const chosen = (e: MouseEvent): void => {
    if (!(e.target instanceof HTMLButtonElement)) return;
    close();
    menu.current?.querySelector("summary")?.focus();
  };
  return (
    <details class="menu" ref={menu} onKeyDown={leave} onClick={chosen}>
      <summary>{name}</summary>
      <div>{children}</div>
    </details>
  );
}
