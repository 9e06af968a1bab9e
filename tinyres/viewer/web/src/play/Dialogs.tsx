// What opens over the page.

import { useState } from "preact/hooks";

import { Dialog, Ways } from "../Dialog";
import { written } from "./address";
import { keysOf, touchesOf } from "./keys";
import type { State } from "./state";
import type { Store } from "./store";

export function Help({ store, state }: { store: Store; state: State }) {
  return (
    <Dialog close={() => store.set({ dialog: null })} title="How to read this page">
      {state.lab === "net" ? (
        <p>
          The net lies from left to right, with one box per block. The line under the picture says how many layers a block has.
          The 56 layers of a ResNet are a first one, 27 blocks of two, and the head. A box's upper half is coloured by the norm of the signal that
          leaves the block, its lower half by the norm of the gradient that arrives there: dark where it vanishes, light
          where it is large. Where a block adds its input to its output, the two routes are drawn as wide as the part of
          the gradient that each carries back. Under it stand the same norms on a log axis; a dashed line is what a law
          predicts: it is not fitted to the measurement.
        </p>
      ) : (
        <p>
          G makes the purple samples, D says how real each place looks: the darker green, the more real. An arrow shows
          where the loss of G pulls a sample. The curve beside it shows what gradient reaches G, by how sure D is of
          itself; a dashed line is the closed form.
        </p>
      )}
      <p>
        {store.local
          ? "This page is a recording: its knobs cannot be turned. One step back shows exactly what was there."
          : "A knob with a round arrow starts the run anew; every other acts in the next step. One step back shows exactly what was there."}
        {!store.local && store.addressed && " The address of the page holds the whole setting."}
      </p>
      <Ways keys={keysOf(store)} touches={touchesOf(store)} />
    </Dialog>
  );
}

export function Script({ store, script }: { store: Store; script: string }) {
  return (
    <Dialog close={() => store.set({ dialog: null })} title="As Python" wide>
      <p>This program does the same with tinyres and prints the same numbers.</p>
      <pre class="code" tabIndex={0} aria-label="Program">
        {script}
      </pre>
      <Copy text={script} />
    </Dialog>
  );
}

export function Link({ store, state }: { store: Store; state: State }) {
  const hash = written(state.lab, state.setting, state.story?.name ?? null);
  return (
    <Dialog close={() => store.set({ dialog: null })} title="Link to this setting">
      <p>
        Everything that is set here stands in the address behind <code>#</code>. Send this part. Whoever runs{" "}
        <code>tinyres play</code> puts it behind the address of the page, and sees the same.
      </p>
      <pre class="code" tabIndex={0} aria-label="Setting">
        {hash}
      </pre>
      <Copy text={hash} />
    </Dialog>
  );
}

function Copy({ text }: { text: string }) {
  const [done, setDone] = useState<string | null>(null);
  const copy = (e: MouseEvent): void => {
    const shown = (e.currentTarget as HTMLElement).closest(".inside")?.querySelector("pre");
    const marked = (): void => {
      if (shown) getSelection()?.selectAllChildren(shown);
      setDone("It is marked: copy it with Ctrl C.");
    };
    if (navigator.clipboard) navigator.clipboard.writeText(text).then(() => setDone("Copied."), marked);
    else marked();
  };
  return (
    <p class="copy">
      <button type="button" class="main" onClick={copy}>
        Copy
      </button>
      <span role="status">{done}</span>
    </p>
  );
}
