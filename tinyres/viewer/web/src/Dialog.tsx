// What opens over the pages, the frame and the lists of keys. The browser's <dialog> keeps the focus inside.

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

import { LICENCES } from "./licences";

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
    return () => before instanceof HTMLElement && before.isConnected && before.focus();
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
  const first = matchMedia("(pointer: coarse)").matches;
  return (
    <>
      {first && touch}
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
      {!first && touch}
      <details>
        <summary>Licences of the libraries in this page</summary>
        <pre class="licences" tabIndex={0}>
          {LICENCES}
        </pre>
      </details>
    </>
  );
}
