// Keyboard shortcuts. The focused element takes precedence: a slider keeps its arrows, a button its space.

import type { State, View } from "./state";
import type { Store } from "./store";

const KEYS: [string, string][] = [
  ["Space", "play, pause"],
  ["← →", "one step back, one step on; within a row of buttons, from one to the next"],
  ["Home End", "the first and the last step that are kept"],
  ["R", "start anew"],
  ["B I G D", "colour the net by both, signal, gradient, dead units"],
  ["L", "the other lab"],
  ["S", "stories"],
  ["P", "as Python"],
  ["Esc", "close the knobs, end the story"],
  ["?", "this help"],
];

/** What does nothing on a page without its engine. */
const ENGINE = ["R", "L", "S"];
export const keysOf = ({ local, state }: Store): [string, string][] =>
  KEYS.filter(inView(state)).filter(
    ([key]) => !local || (!ENGINE.includes(key) && (key !== "P" || state.script !== null)),
  );

const TOUCHES: [string, string][] = [
  ["Tap the net", "read a block's numbers"],
  ["Drag sideways", "over the net: from block to block"],
  ["Drag the slider", "move through the steps"],
  ["Knobs", "on a small screen: open and close them"],
];
export const touchesOf = ({ state }: Store): [string, string][] => TOUCHES.filter(inView(state));

/** What does nothing where two players are shown. */
const NET = ["B I G D", "Tap the net", "Drag sideways"];
const inView = ({ lab }: State) => ([way]: [string, string]): boolean => lab === "net" || !NET.includes(way);

const VIEWS: Record<string, View> = { b: "both", i: "signal", g: "gradient", d: "dead" };

/** `target` hears the keys: the document, or a widget alone. */
export function listen(store: Store, target: EventTarget): void {
  target.addEventListener("keydown", (event) => {
    const { key, ctrlKey, metaKey, altKey, defaultPrevented } = event as KeyboardEvent;
    if (ctrlKey || metaKey || altKey || defaultPrevented || store.state.dialog !== null) return;
    const at = event.composedPath()[0];
    const focused = at instanceof Element ? at : document.body;
    if (focused.matches("input:not([type=range], [type=checkbox]), textarea, select")) return;
    if (focused.matches("input[type=range]") && /^(Arrow|Home|End|Page)/.test(key)) return;
    if (focused.matches("button, a, summary, [type=checkbox]") && (key === " " || key === "Enter")) return;
    if (act(store, key)) event.preventDefault();
  });
}

/** After a choice by pointer the focus goes back to the stage, so that letters are shortcuts again: in a list they would
 * look for an entry. Whoever chooses by keys keeps the list and its keys. */
export function release(target: EventTarget & ParentNode): void {
  let pointed: EventTarget | null = null;
  const noted = (event: Event): void => void (pointed = event.composedPath()[0] ?? null);
  target.addEventListener("pointerdown", noted);
  target.addEventListener("keydown", () => (pointed = null));
  target.addEventListener("change", (event) => {
    const at = event.composedPath()[0];
    if (!(at instanceof HTMLSelectElement) || at !== pointed) return;
    target.querySelector("main")?.focus({ preventScroll: true });
  });
}

function act(store: Store, key: string): boolean {
  const view = VIEWS[key];
  if (view !== undefined && store.state.lab === "net") return done(store.set({ view }));
  switch (key) {
    case " ":
      return done(store.play());
    case "ArrowLeft":
      return done(store.step(-1));
    case "ArrowRight":
      return done(store.step(1));
    case "Home":
      return done(store.end(0));
    case "End":
      return done(store.end(1));
    case "r":
      return done(store.reset());
    case "l":
      return done(store.choose(store.state.lab === "net" ? "game" : "net"));
    case "s":
      return done(!store.local && store.set({ dialog: "stories" }));
    case "p":
      return done(store.ask("script"));
    case "?":
      return done(store.set({ dialog: "help" }));
    case "Escape":
      if (store.state.sheet) return done(store.set({ sheet: false }));
      return store.state.story !== null && done(store.set({ story: null }));
    default:
      return false;
  }
}

const done = (_: unknown): true => true;

/** Frames that are in the page, one after the other, for as long as it plays. */
export function player(store: Store): void {
  let timer: number | undefined;
  store.watch(({ playing }) => {
    const wanted = playing && store.local;
    if (wanted === (timer !== undefined)) return;
    clearInterval(timer);
    timer = wanted ? window.setInterval(() => store.look(store.state.at + 1), 100) : undefined;
  });
}
