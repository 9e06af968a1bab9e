// What can be turned: a slider with a number to type, a list or a box for each knob, in groups.

import { scaleLog } from "d3-scale";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

import { number } from "../text";
import type { Knob, Setting, Value } from "./protocol";
import type { Store } from "./store";

interface Props {
  store: Store;
  knobs: Knob[];
  setting: Setting;
  /** Nobody is there to turn them for. */
  off: boolean;
  /** On a small screen: shown. */
  sheet: boolean;
}

export function Knobs({ store, knobs, setting, off, sheet }: Props) {
  const [about, setAbout] = useState<Knob | null>(null);
  const shown = knobs.filter((knob) => isShown(knob, setting));
  const groups = [...new Set(shown.map(({ group }) => group))];
  const panel = useRef<HTMLElement>(null);
  const open = useRef(sheet);
  // The focus goes into the sheet when it opens, and back to its button when it closes, however it was closed.
  useLayoutEffect(() => {
    if (open.current === sheet) return;
    open.current = sheet;
    const root = panel.current?.getRootNode() as ParentNode;
    root.querySelector<HTMLElement>(sheet ? ".knobs button" : ".transport .narrow")?.focus({ preventScroll: true });
  }, [sheet]);
  return (
    <aside ref={panel} class={`knobs ${sheet ? "open" : ""}`} aria-label="Knobs" onKeyDown={(e) => sheet && e.key === "Escape" && store.set({ sheet: false })}>
      <header class="narrow">
        <b>Knobs</b>
        <button type="button" class="quiet" aria-label="Close the knobs" onClick={() => store.set({ sheet: false })}>
          ✕
        </button>
      </header>
      <div class="scroller">
        <fieldset disabled={off}>
        <legend class="hidden">Setting</legend>
        {groups.map((group) => (
          <section aria-label={group}>
            <h2>{group}</h2>
            {shown
              .filter((knob) => knob.group === group)
              .map((knob) => (
                <div
                  key={knob.name}
                  class={`knob ${knob.kind}`}
                  onPointerEnter={() => setAbout(knob)}
                  onFocusIn={() => setAbout(knob)}
                >
                  <Turned store={store} knob={knob} value={setting[knob.name] ?? knob.default} />
                </div>
              ))}
          </section>
        ))}
        </fieldset>
      </div>
      <p class="about" id="knob-help">
        {about !== null && shown.includes(about) ? (
          <>
            <b>{about.label}.</b> {about.help} <span class="muted">{about.live ? "Acts in the next step." : "Starts anew."}</span>
          </>
        ) : (
          <>
            <Anew /> starts anew; everything else acts in the next step.
          </>
        )}
      </p>
    </aside>
  );
}

export function isShown({ when }: Knob, setting: Setting): boolean {
  return Object.entries(when ?? {}).every(([name, values]) => values.includes(setting[name] as Value));
}

const Anew = () => (
  <svg class="anew" viewBox="0 0 12 12" role="img" aria-label="starts anew">
    <path d="M10 6a4 4 0 1 1-1.2-2.9M10 1v2.6H7.4" />
  </svg>
);

function Turned({ store, knob, value }: { store: Store; knob: Knob; value: Value }) {
  const id = `knob-${knob.name}`;
  const turn = (to: Value): void => store.turn(knob.name, to);
  const label = (
    <>
      {knob.label} {!knob.live && <Anew />}
    </>
  );
  if (knob.kind === "flag")
    return (
      <label>
        <input type="checkbox" checked={value === true} aria-description={knob.help} onChange={(e) => turn(e.currentTarget.checked)} />
        <span>{label}</span>
      </label>
    );
  if (knob.kind === "choice") {
    const choices = knob.choices ?? [];
    return (
      <>
        <label for={id}>{label}</label>
        <select
          id={id}
          aria-description={knob.help}
          value={choices.findIndex((choice) => choice.value === value)}
          onChange={(e) => turn(choices[Number(e.currentTarget.value)]?.value ?? knob.default)}
        >
          {choices.map((choice, i) => (
            <option value={i}>{choice.label}</option>
          ))}
        </select>
      </>
    );
  }
  return <Amount knob={knob} value={Number(value)} id={id} label={label} turn={turn} />;
}

interface AmountProps {
  knob: Knob;
  value: number;
  id: string;
  label: preact.ComponentChildren;
  turn: (value: number) => void;
}

function Amount({ knob, value, id, label, turn }: AmountProps) {
  const [refused, refuse] = useState<string | null>(null);
  const typed = (input: HTMLInputElement): void => {
    const said = complaint(knob, input.value);
    refuse(said);
    if (said === null) turn(Number(input.value));
    else input.value = String(value);
  };
  const slides = Number.isFinite(knob.min) && Number.isFinite(knob.max);
  return (
    <>
      <label for={id}>{label}</label>
      <input
        id={id}
        class="typed"
        inputMode="decimal"
        autocomplete="off"
        value={short(value)}
        aria-description={knob.help}
        aria-invalid={refused !== null}
        onChange={(e) => typed(e.currentTarget)}
        onKeyDown={(e) => e.key === "Enter" && typed(e.currentTarget)}
      />
      {slides && (
        <input
          type="range"
          min={0}
          max={STOPS}
          step={1}
          value={placeOf(knob, value)}
          aria-label={knob.label}
          aria-valuetext={number(value)}
          onInput={(e) => {
            refuse(null);
            turn(valueAt(knob, Number(e.currentTarget.value), value));
          }}
        />
      )}
      {refused !== null && (
        <p class="bad" role="alert">
          {refused}
        </p>
      )}
    </>
  );
}

/** As it is typed; it fits into the field. */
function short(value: number): string {
  const exact = Number(value.toPrecision(6));
  return Math.abs(exact) >= 1e6 ? exact.toExponential().replace("e+", "e") : String(exact);
}

/** Why what was typed is no value of this knob; null: it is one. */
export function complaint(knob: Knob, text: string): string | null {
  const { label, kind } = knob;
  const [min, max] = knob.limit ?? [knob.min ?? -Infinity, knob.max ?? Infinity];
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) return `${label} is a number; “${text}” is none.`;
  if (kind === "integer" && !Number.isInteger(value)) return `${label} is a whole number; ${text} is none.`;
  if (value < min || value > max) {
    const range = max === Infinity ? `from ${number(min)} on` : `from ${number(min)} to ${number(max)}`;
    return `${label} goes ${range}; ${text} does not.`;
  }
  return null;
}

const STOPS = 400;

/** On a log scale a smallest value of 0 has a place of its own, below the others. */
function logarithmic({ min = 0, max = 1 }: Pick<Knob, "min" | "max">) {
  return scaleLog([min > 0 ? min : max * 1e-6, max], [min > 0 ? 0 : 1, STOPS]).clamp(true);
}

export function placeOf(knob: Pick<Knob, "min" | "max" | "scale">, value: number): number {
  const { min = 0, max = 1, scale } = knob;
  if (scale === "log") return value <= 0 ? 0 : Math.round(logarithmic(knob)(value));
  return clamp(Math.round((STOPS * (value - min)) / (max - min)), 0, STOPS);
}

/** The value at a place of the slider. It always differs from the one before, so that an arrow key does something. */
export function valueAt(knob: Pick<Knob, "min" | "max" | "scale" | "kind" | "step">, place: number, before: number): number {
  const { min = 0, max = 1, scale, kind } = knob;
  const raw = scale === "log" ? (place === 0 ? min : logarithmic(knob).invert(place)) : min + (place / STOPS) * (max - min);
  const from = placeOf(knob, before);
  const step = kind === "integer" ? (knob.step ?? 1) : knob.step;
  if (step) {
    const to = min + Math.round((raw - min) / step) * step;
    const by = to === before ? Math.sign(place - from) * step : 0;
    return clamp(Number((to + by).toPrecision(12)), min, max);
  }
  const rounded = [2, 3, 4].map((digits) => clamp(Number(raw.toPrecision(digits)), min, max));
  return rounded.find((value) => value !== before && placeOf(knob, value) === place) ?? (rounded[2] as number);
}

const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));
