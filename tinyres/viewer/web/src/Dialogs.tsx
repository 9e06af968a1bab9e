// The search and help dialogs.

import { useMemo, useState } from "preact/hooks";

import { Dialog, Ways } from "./Dialog";
import { focusOn, KEYS, KEYS_OF_A_RUN, TOUCHES, TOUCHES_OF_A_RUN } from "./keyboard";
import { called, useOf } from "./modules";
import type { Recording, Store } from "./state";
import { blockOf, many, nameOf, shapeText } from "./text";

const SIGNS = [
  ["Green and purple cells", "positive and negative numbers; the larger the magnitude, the deeper the colour"],
  ["A dark frame round a cell", "the element that the rule below writes out"],
  ["norm, ‖g‖", "the length of all numbers as one vector: the root of the sum of their squares; g is a gradient"],
  ["The bar's two shades", "light for the events of a forward pass, dark for those of a backward pass"],
  ["▸ and ▾", "a module that is closed, one that is open"],
];

export function Help({ store }: { store: Store }) {
  return (
    <Dialog title="How to read this page" close={() => store.set({ dialog: null })}>
      {store.recording === null ? (
        <p>
          Each row of the map is a block of the net, each column a recorded training step. The colour is log₁₀ of the
          norm of the gradient at the block's output: dark where the gradient vanishes, light where it is large. Choose
          a step on the map or with the slider; the bars show that step, and how much of the gradient came through each
          skip connection.
        </p>
      ) : (
      <>
      <p>
        The graph shows the operations of one training step; a closed module is a single node. The forward pass computes
        values from top to bottom. The backward pass sends gradients back up, one <b>rule</b> at a time, and each result
        is <b>added</b> (+=) to the gradient that its receiver already has.
      </p>
      <dl class="signs">
        {SIGNS.map(([sign, meaning]) => (
          <>
            <dt>{sign}</dt>
            <dd>{meaning}</dd>
          </>
        ))}
      </dl>
      </>
      )}
      {store.recording === null ? (
        <Ways keys={KEYS_OF_A_RUN} touches={TOUCHES_OF_A_RUN} />
      ) : (
        <Ways keys={KEYS} touches={TOUCHES} />
      )}
      <label>
        <input type="checkbox" checked={store.state.letters} onChange={() => letters(store, !store.state.letters)} /> Keys
        that are letters or signs work
      </label>
    </Dialog>
  );
}

const KEPT = "tinyres-letters";

/** Whether keys that are letters or signs do something, as the browser remembers it; without a value, reads it. */
export function letters(store: Store, wanted?: boolean): void {
  try {
    if (wanted !== undefined) localStorage.setItem(KEPT, String(wanted));
    store.set({ letters: localStorage.getItem(KEPT) !== "false" });
  } catch {
    store.set({ letters: wanted ?? true }); // a sandboxed frame remembers nothing
  }
}

const SHOWN = 40;

interface Entry {
  name: string;
  about: string;
  end: string;
  /** What is searched besides. */
  more: string;
  go: () => void;
}

/** What a search may find: operations, then modules, then the places where routes rejoin. */
function entriesOf(store: Store, { trace, calls, replay }: Recording): Entry[] {
  const ops = trace.ops.map((op) => ({
    name: nameOf(op),
    about: `${op.name === null ? "" : op.kind} ${op.path} ${op.roles?.join(" + ") ?? ""}`,
    end: shapeText(op.shape),
    more: `${op.kind} #${op.id}`,
    go: () => store.goOp(op.id, "Found: "),
  }));
  const modules = [...calls.byKey.values()].map((call) => {
    const name = `module ${called(call.path, call)}`;
    return {
      name,
      about: useOf(call),
      end: many(call.size, "node"),
      more: "",
      go: () => store.goOp(call.first?.id ?? 0, "Found: ", name),
    };
  });
  const rejoins = [...replay.rejoins].flatMap(([step, joins]) =>
    joins.map((join) => {
      const name = `rejoin of ${blockOf(trace, join.name)}`;
      const go = (): void => {
        store.go(step);
        store.set({ said: `Found: ${name}` });
      };
      return { name, about: "", end: `event ${step + 1}`, more: "", go };
    }),
  );
  return [...ops, ...modules, ...rejoins];
}

export function Search({ store, recording }: { store: Store; recording: Recording }) {
  const [query, setQuery] = useState("");
  const [chosen, setChosen] = useState(0);
  const entries = useMemo(() => entriesOf(store, recording), [recording]);
  const texts = useMemo(() => entries.map(({ name, about, more }) => `${name} ${about} ${more}`.toLowerCase()), [entries]);
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const all = words.length ? entries.filter((_, i) => words.every((word) => texts[i]?.includes(word))) : [];
  const found = all.slice(0, SHOWN);
  const go = (entry: Entry | undefined): void => {
    if (entry === undefined) return;
    store.set({ dialog: null });
    entry.go();
    focusOn(".step");
  };
  const combobox = {
    role: "combobox",
    "aria-expanded": found.length > 0,
    "aria-controls": "found",
    "aria-autocomplete": "list",
  } as object;
  const onKeyDown = (e: KeyboardEvent): void => {
    if (e.key === "Enter") go(found[chosen]);
    else if (e.key === "Escape") store.set({ dialog: null }); // the browser would only empty the field
    else if (e.key === "ArrowDown") setChosen(Math.min(found.length - 1, chosen + 1));
    else if (e.key === "ArrowUp") setChosen(Math.max(0, chosen - 1));
    else return;
    e.preventDefault();
  };
  return (
    <Dialog title="Search" close={() => store.set({ dialog: null })}>
      <input
        type="search"
        {...combobox}
        aria-label="Operation, module, class or name"
        aria-activedescendant={found.length ? `found-${chosen}` : undefined}
        placeholder="conv2d, blocks.3, Residual, rejoin…"
        value={query}
        onInput={(e) => {
          setQuery(e.currentTarget.value);
          setChosen(0);
        }}
        onKeyDown={onKeyDown}
      />
      <ul id="found" role="listbox" aria-label="Found" tabIndex={-1}>
        {found.map((entry, i) => (
          <li
            id={`found-${i}`}
            role="option"
            aria-selected={i === chosen}
            onClick={() => go(entry)}
            ref={
              i === chosen
                ? (element: HTMLLIElement | null) => element?.scrollIntoView({ block: "nearest" })
                : undefined
            }
          >
            <b>{entry.name}</b> <span>{entry.about}</span> <span>{entry.end}</span>
          </li>
        ))}
      </ul>
      <p class="muted" role="status">
        {words.length === 0
          ? "Type to search."
          : all.length > SHOWN
            ? `${SHOWN} of ${all.length} shown`
            : `${all.length} found`}
      </p>
    </Dialog>
  );
}
