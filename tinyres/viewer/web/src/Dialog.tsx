// What opens over the pages, the frame and the lists of keys. The browser's <dialog> keeps the focus inside.

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

import { LICENCES } from "./licences";
import { byTouch } from "./pinch";

interface Props {
  title: string;
  close: () => void;
  wide?: boolean;
  children: ComponentChildren;
}

export function Dialog({ title, close, wide, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const root = dialog.current?.getRootNode() as Document | ShadowRoot;
    const before = root.activeElement;
    dialog.current?.showModal();
    dialog.current?.querySelector<HTMLElement>("[type=search]")?.focus();
    return () => queueMicrotask(() => giveBack(root, before));
  }, []);
  return (
    <dialog
      ref={dialog}
      class={wide ? "broad" : ""}
      aria-labelledby="dialog-title"
      onClose={close}
      onClick={(e) => e.target === e.currentTarget && close()}
    >
      <div class="inside">
        <header>
          <h2 id="dialog-title">{title}</h2>
          <button type="button" class="quiet" aria-label="Close" onClick={close}>
            ✕
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

/** Once the dialog is gone, unless something else has taken the focus by then. In a list that closed, its name has it. */
function giveBack(root: Document | ShadowRoot, before: Element | null): void {
  const focused = root.activeElement;
  if (focused !== null && focused !== document.body) return;
  const to = before?.closest("details:not([open])")?.querySelector("summary") ?? before;
  if (to instanceof HTMLElement || to instanceof SVGElement) to.focus();
}

type List = [string, string][];

/** What the keyboard and a finger can do on the page, and whose work is in it. */
export function Ways({ keys, touches }: { keys: List; touches: List }) {
  const touch = (
    <table class="keys">
      <caption>By touch</caption>
      <tbody>
        {touches.map(([touch, meaning]) => (
          <tr>
            <th scope="row">{touch}</th>
            <td>{meaning}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
  const keyboard = (
    <table class="keys">
      <caption>With the keyboard</caption>
      <tbody>
        {keys.map(([signs, meaning]) => (
          <tr>
            <th scope="row">
              {signs.split(" ").map((key) => (
                <>
                  <kbd>{key}</kbd>{" "}
                </>
              ))}
            </th>
            <td>{meaning}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
  return (
    <>
      {byTouch() ? (
        <>
          {touch}
          <details>
            <summary>With a keyboard</summary>
            {keyboard}
          </details>
        </>
      ) : (
        <>
          {keyboard}
          {touch}
        </>
      )}
      <details>
        <summary>Licences of the libraries in this page</summary>
        <pre class="licences" tabIndex={0}>
          {LICENCES}
        </pre>
      </details>
    </>
  );
}
