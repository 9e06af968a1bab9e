// Along the top: the two labs and what can be done with them. Under it: moving through the steps.

import { many, number } from "../text";
import { Tools } from "../Tools";
import { Menu } from "./Menu";
import type { LabName } from "./protocol";
import { isComputing, type State } from "./state";
import type { Store } from "./store";

export function Top({ store, state }: { store: Store; state: State }) {
  const labs = state.hello?.labs ?? [];
  const open = !store.local;
  const inReplay = state.link === "replay";
  const themes = { auto: "Auto", light: "Light", dark: "Dark" } as const;
  const next = ({ auto: "light", light: "dark", dark: "auto" } as const)[state.theme];
  const hasTable = (format: string) => store.tables.some((table) => table.format === format);
  const table = (format: "csv" | "json"): void => (inReplay ? store.given(format) : store.ask(format));
  return (
    <header class="top">
      <button type="button" class="jump" onClick={(e) => pictures(e.currentTarget).focus()}>
        Skip to the pictures
      </button>
      <h1>Playground</h1>
      <Tools class="tools" label="Lab, stories, files and help">
        {labs.length > 1 && open && (
          <div class="segments" role="group" aria-label="Lab">
            {labs.map(({ name, title }) => (
              <button type="button" aria-pressed={state.lab === name} onClick={() => store.choose(name as LabName)}>
                {title}
              </button>
            ))}
          </div>
        )}
        {(state.hello?.stories.length ?? 0) > 0 && open && (
          <button type="button" class="main" onClick={() => store.set({ dialog: "stories" })}>
            Stories <kbd>S</kbd>
          </button>
        )}
        <span class="space" />
        {state.link !== "connecting" && (
          <Menu name="Keep">
              {open && (
                <>
                  <button type="button" onClick={() => store.set({ dialog: "link" })}>Link to this setting</button>
                  <button type="button" onClick={() => store.ask("page")}>Page (opens without a server)</button>
                </>
              )}
              {(open || hasTable("csv")) && <button type="button" onClick={() => table("csv")}>Figures as CSV</button>}
              {(open || hasTable("json")) && <button type="button" onClick={() => table("json")}>Figures as JSON</button>}
              {(open || state.script !== null) && (
                <button type="button" onClick={() => store.ask("script")}>As Python</button>
              )}
              <p class="muted">Each chart has SVG and PNG in its corner.</p>
          </Menu>
        )}
        <button type="button" aria-label={`Colours: ${themes[state.theme]}. Change to ${themes[next]}`} onClick={() => store.theme(next)}>
          {state.theme === "dark" ? "☾" : state.theme === "light" ? "☀" : "◐"} <span class="wide">{themes[state.theme]}</span>
        </button>
        <button type="button" onClick={() => store.set({ dialog: "help" })}>
          Help <kbd>?</kbd>
        </button>
      </Tools>
    </header>
  );
}

const pictures = (from: Element): HTMLElement => (from.getRootNode() as ParentNode).querySelector("main") as HTMLElement;

/** Measured, so that 0.999 is one step as well. */
const perSecond = (rate: number): string => `${number(rate, 2)} ${number(rate, 2) === "1" ? "step" : "steps"}`;

const SPEEDS = [1, 2, 5, 10, 30];

export function Bar({ store, state }: { store: Store; state: State }) {
  const { seen, playing, link } = state;
  const kept = seen?.frame.kept ?? [0, 0];
  const [first, last] = store.local ? [0, Math.max(0, store.frames.length - 1)] : kept;
  const value = store.local ? state.at : (seen?.frame.step ?? 0);
  const dead = seen === null;
  const alone = store.local && last === first; // a recording of one picture: nothing to play
  const step = seen === null || (state.anew && isComputing(state)) ? "–" : seen.frame.step;
  // At an end, `off`: without an effect rather than disabled, which would lose the focus.
  const button = (label: string, sign: string, act: () => void, off = false) => (
    <button type="button" class="icon" aria-label={label} title={label} disabled={dead} aria-disabled={off} onClick={() => off || act()}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <path d={sign} />
      </svg>
    </button>
  );
  return (
    <section class="transport" aria-label="Steps">
      <Tools class="buttons" label="Move through the steps" first=".play">
        {!store.local && button("Start anew", "M8 2.5a5.5 5.5 0 1 0 5.4 6.5h-1.6A4 4 0 1 1 8 4v2.5L12 3.2 8 0z", () => store.reset())}
        {button("One step back", "M11 3v10L4 8z", () => store.step(-1), value <= first)}
        <button type="button" class="play" disabled={dead} aria-disabled={alone} aria-label={playing ? "Pause" : "Play"} onClick={() => alone || store.play()}>
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d={playing ? "M4 3h3v10H4z M9 3h3v10H9z" : "M4 2.5v11L13 8z"} />
          </svg>
          <span aria-hidden="true">{playing ? "Pause" : "Play"}</span>
        </button>
        {button("One step on", "M5 3v10l7-5z", () => store.step(1), store.local && value >= last)}
      </Tools>
      <button type="button" class="narrow" aria-expanded={state.sheet} onClick={() => store.set({ sheet: !state.sheet })}>
        Knobs
      </button>
      <p class="step">
        step <b>{step}</b>
      </p>
      <input
        type="range"
        min={first}
        max={Math.max(last, first)}
        value={value}
        disabled={dead}
        aria-label="Step"
        aria-valuetext={`step ${seen?.frame.step ?? 0}, kept from ${kept[0]} to ${kept[1]}`}
        onInput={(e) => {
          const to = Number(e.currentTarget.value);
          if (store.local) store.set({ playing: false }), store.look(to);
          else store.seek(to);
        }}
      />
      {!store.local && (
        <label>
          <span class="hidden">Speed</span>
          <select
            value={state.speed ?? ""}
            onChange={(e) => store.speed(e.currentTarget.value === "" ? null : Number(e.currentTarget.value))}
          >
            <option value="">as fast as it goes</option>
            {SPEEDS.map((speed) => (
              <option value={speed}>{many(speed, "step")}/s</option>
            ))}
          </select>
        </label>
      )}
      <p class="muted rate">
        {link === "replay"
          ? many(store.frames.length, "recorded picture")
          : playing && seen?.frame.rate != null
            ? `${perSecond(seen.frame.rate)}/s`
            : ""}
      </p>
    </section>
  );
}
