// Reads the document, draws the page again at every change, and hands tests a handle.

import { render } from "preact";

import { keep, read } from "./address";
import { App } from "./App";
import { viewOf } from "./arrays";
import { load } from "./data";
import { letters } from "./Dialogs";
import { lookAtEdges, watchEdges } from "./edges";
import { listen, player } from "./keyboard";
import { spareSliders } from "./pinch";
import { Store } from "./state";

declare global {
  interface Window {
    tinyres?: {
      step: () => number;
      go: (step: number) => void;
      gradient: (op: number) => number[] | null;
      state: () => Record<string, unknown>;
      ready: true;
    };
  }
}

function start(): void {
  const root = document.getElementById("page") as HTMLElement;
  const data = load();
  if (typeof data === "string") {
    render(<main class="empty">{data}</main>, root);
    return;
  }
  const store = new Store(data);
  store.watch((state) => render(<App store={store} state={state} />, root));
  store.watch(lookAtEdges);
  watchEdges();
  player(store);
  keep(store);
  listen(store);
  spareSliders(document);
  read(store);
  letters(store);
  const { recording } = store;
  window.tinyres = {
    step: () => store.state.step,
    go: (step) => store.go(step),
    gradient: (op) => {
      const index = recording?.replay.gradient(store.lane, op, store.state.step) ?? null;
      return recording === null || index === null ? null : viewOf(recording.trace, index).whole;
    },
    state: () => ({
      ...store.state,
      lane: store.lane,
      opened: [...store.state.opened].sort(),
      nodes: document.querySelectorAll(".node").length,
    }),
    ready: true,
  };
}

/** A foreign or damaged recording may fail at any step: show a message instead of half a page. */
function refuse(error: unknown): void {
  const root = document.getElementById("page") as HTMLElement;
  const said = document.createElement("main");
  said.className = "empty";
  said.textContent = `The recording in this page is damaged (${String(error)}). Save it again.`;
  root.replaceChildren(said);
}

window.addEventListener("error", ({ error }) => error && refuse(error)); // without one it is a browser's remark
try {
  start();
} catch (error) {
  refuse(error);
}
