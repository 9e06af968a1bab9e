// The bar that moves through the events.

import { eventAt, type Trace } from "./data";
import { togglePlay } from "./keyboard";
import type { Recording, State, Store } from "./state";
import { Tools } from "./Tools";
import { passOf } from "./text";

const SPEEDS = [1, 2, 5, 10, 25];

export function Transport({ store, recording, state }: { store: Store; recording: Recording; state: State }) {
  const { trace } = recording;
  const pass = passOf(eventAt(trace, state.step));
  // Without an effect rather than disabled: a disabled button would lose the focus.
  const button = (label: string, sign: string, act: () => void, off = false) => (
    <button type="button" class="icon" aria-label={label} title={label} aria-disabled={off} onClick={act}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <path d={sign} />
      </svg>
    </button>
  );
  return (
    <section class="transport" aria-label="Events">
      <Tools class="buttons" label="Move through the events">
        {button("First event", "M3 3h2v10H3z M13 3v10L6 8z", () => store.go(0), state.step === 0)}
        {button("Previous event", "M10.5 2L12 3.5 7.5 8l4.5 4.5-1.5 1.5-6-6z", () => store.go(state.step - 1), state.step === 0)}
        {state.playing
          ? button("Pause", "M4 3h3v10H4z M9 3h3v10H9z", () => togglePlay(store))
          : button("Play", "M4 2.5v11L13 8z", () => togglePlay(store))}
        {button("Next event", "M5.5 2L4 3.5 8.5 8 4 12.5 5.5 14l6-6z", () => store.go(state.step + 1), state.step === store.last)}
        {button("Last event", "M11 3h2v10h-2z M3 3v10l7-5z", () => store.go(store.last), state.step === store.last)}
      </Tools>
      <div class="timeline" style={{ "--passes": passes(trace) }}>
        <input
          type="range"
          min={0}
          max={store.last}
          value={state.step}
          aria-label="Event"
          aria-valuetext={`event ${state.step + 1} of ${store.last + 1}`}
          onInput={(e) => store.go(Number(e.currentTarget.value))}
        />
      </div>
      <Tools class="choices" label="Pass and speed">
        <div class="segments" role="group" aria-label="Pass">
          <button type="button" aria-pressed={pass === "f"} onClick={() => store.goPass("f")}>
            Forward
          </button>
          <button type="button" aria-pressed={pass === "b"} onClick={() => store.goPass("b")}>
            Backward
          </button>
        </div>
        {trace.lanes.length > 1 && (
          <div class="segments" role="group" aria-label="Loss">
            {trace.lanes.map((name, i) => (
              <button type="button" aria-pressed={store.lane === i} onClick={() => store.goLane(i)}>
                {name}
              </button>
            ))}
          </div>
        )}
        <label>
          <span class="hidden">Speed</span>
          <select value={state.speed} onChange={(e) => store.set({ speed: Number(e.currentTarget.value) })}>
            {SPEEDS.map((speed) => (
              <option value={speed}>{speed} / s</option>
            ))}
          </select>
        </label>
      </Tools>
    </section>
  );
}

const MOST = 60; // changes of pass that can be told apart on the bar

/** The bar's colours: where events compute, and where they send gradients. */
function passes(trace: Trace): string {
  const count = trace.events.length;
  const stops: string[] = [];
  let start = 0;
  for (let i = 1; i <= count && stops.length < MOST; i++) {
    const forward = trace.events[start]?.[0] === "f";
    if (i < count && (trace.events[i]?.[0] === "f") === forward) continue;
    const [from, to] = [start, i].map((at) => `${((100 * at) / count).toFixed(2)}%`);
    stops.push(`var(--${forward ? "forward" : "backward"}) ${from} ${to}`);
    start = i;
  }
  return `linear-gradient(to right, ${stops.join(", ")})`;
}
