// Keyboard shortcuts of the page. The focused element takes precedence: a slider keeps its arrows, a button its space.

import { eventAt } from "./data";
import { shown } from "./HeatMap";
import type { Store } from "./state";

export const KEYS: [string, string][] = [
  ["Tab", "to the next group of controls; the first stop leads to the graph"],
  ["← →", "previous event, next event; within a group of buttons, from one to the next"],
  ["Shift ← →", "previous module, next module"],
  ["Home End", "first event, last event"],
  ["Space", "play, pause"],
  ["F B", "forward pass, backward pass (of the same operation)"],
  ["R", "where the routes of the next block rejoin; with Shift, of the one before"],
  ["E", "open or close the module of the current event"],
  ["Shift E", "open or close all modules"],
  ["↑ ↓ Enter", "in the graph: move between nodes and frames; open or close a module"],
  ["T", "switch between graph and table"],
  ["L", "go to the backward pass of the next loss"],
  ["+ − 0", "zoom in, zoom out, fit"],
  ["/", "search by operation, module, class or name; or for rejoin"],
  ["?", "this help"],
];

export const KEYS_OF_A_RUN: [string, string][] = [
  ["← →", "previous recorded step, next recorded step"],
  ["Home End", "first step, last step"],
  ["?", "this help"],
];

export const TOUCHES: [string, string][] = [
  ["Tap a node", "go to its event; open it if it is a module"],
  ["Tap a frame's name", "close the module"],
  ["Drag the graph", "move it"],
  ["Pinch the graph", "zoom in, zoom out"],
  ["Drag the bar", "move through the events"],
  ["Tap a cell", "write this element out"],
];

export const TOUCHES_OF_A_RUN: [string, string][] = [
  ["Tap the map", "choose this step"],
  ["Drag sideways", "on the map: move through the recorded steps"],
  ["Drag the slider", "the same"],
];

export function listen(store: Store): void {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || store.state.dialog !== null) return;
    if (!store.state.letters && /^[^ ]$/.test(event.key)) return;
    const target = event.target instanceof Element ? event.target : document.body;
    if (target.matches("input[type=search], textarea, select")) return;
    const slider = target.matches("input[type=range]");
    const pressed = target.matches("button, a, summary, [role=button], [role=tab]");
    if (slider && /^(Arrow|Home|End|Page)/.test(event.key) && !event.shiftKey) return;
    if (pressed && (event.key === " " || event.key === "Enter")) return;
    const before = document.activeElement;
    if (!act(store, event.key, event.shiftKey)) return;
    event.preventDefault();
    // What had the focus may be gone, as the zoom is from beside a table: what is shown now takes it.
    if (before !== document.body && document.activeElement === document.body) focusOn(CURRENT);
  });
}

/** The current event's node, or its row of the table. */
export const CURRENT = ".around [tabindex='0'], .twin button[tabindex='0']";

export function focusOn(selector: string): void {
  document.querySelector<HTMLElement | SVGElement>(selector)?.focus({ preventScroll: true });
}

function act(store: Store, key: string, shift: boolean): boolean {
  const { state, recording } = store;
  if (key === "?") return done(store.set({ dialog: "help", playing: false }));
  if (recording === null) return alongTheRun(store, key);
  switch (key) {
    case "ArrowRight":
      return done(shift ? store.goModule(1) : store.go(state.step + 1));
    case "ArrowLeft":
      return done(shift ? store.goModule(-1) : store.go(state.step - 1));
    case "Home":
      return done(store.go(0));
    case "End":
      return done(store.go(store.last));
    case " ":
      return done(togglePlay(store));
    case "f":
    case "b":
      return done(store.goPass(key));
    case "r":
    case "R":
      return done(store.goRejoin(key === "r" ? 1 : -1));
    case "e": {
      const event = eventAt(recording.trace, state.step);
      return done(store.toggleAround(event.consumer ?? event.op));
    }
    case "E":
      return done(store.toggleAll());
    case "t":
      return done(store.show(state.view === "graph" ? "table" : "graph"));
    case "l":
      return done(store.goLane((store.lane + 1) % recording.trace.lanes.length));
    case "+":
    case "-":
      return done(store.zoomBy(key === "+" ? 1.25 : 0.8));
    case "0":
      return done(store.fit());
    case "/":
      return done(store.set({ dialog: "search", playing: false }));
    default:
      return false;
  }
}

/** On a page that shows a training alone, the arrows move along its steps. */
function alongTheRun(store: Store, key: string): boolean {
  const last = Math.max(0, ...store.run.map((lane) => lane.steps.length - 1));
  const to = { ArrowLeft: store.state.runStep - 1, ArrowRight: store.state.runStep + 1, Home: 0, End: last }[key];
  if (to === undefined) return false;
  const runStep = Math.min(last, Math.max(0, to));
  store.set({ runStep, said: shown(store.run, runStep) });
  return true;
}

const done = (_: void): true => true;

export function togglePlay(store: Store): void {
  const { playing, step } = store.state;
  if (!playing && step === store.last) store.go(0);
  store.set({ playing: !playing, said: playing ? store.paused(step) : "Playing" });
}

/** One event at a time for as long as it plays. */
export function player(store: Store): void {
  let timer: number | undefined;
  let running = 0;
  store.watch(({ playing, speed }) => {
    const wanted = playing ? speed : 0;
    if (wanted === running) return;
    clearInterval(timer);
    running = wanted;
    if (wanted) timer = setInterval(() => store.go(store.state.step + 1), 1000 / wanted);
  });
}
