// The page of its own: over the server that it came from, or from the recording in it.

import { render } from "preact";

import { App } from "./App";
import { spareSliders } from "../pinch";
import { listen, player, release } from "./keys";
import { Store } from "./store";
import { recording, socket } from "./wire";

declare global {
  interface Window {
    /** For tests: what the page holds. */
    tinyresPlay?: { state: () => unknown; frames: () => number; drawn: () => number; ready: true };
  }
}

function start(root: HTMLElement): void {
  const recorded = recording();
  const served = location.protocol.startsWith("http") || location.search !== "";
  if (recorded === null && !served) return refuse("This page needs its engine. Run “tinyres play”, which opens it.");
  const store = new Store(recorded === null ? socket : null, recorded === null);
  let [asked, drawn] = [false, 0];
  const draw = (): void => {
    asked = false;
    drawn++;
    document.documentElement.dataset["theme"] = store.state.theme;
    render(<App store={store} state={store.state} />, root);
  };
  store.watch(() => {
    if (!asked) requestAnimationFrame(draw);
    asked = true;
  });
  player(store);
  listen(store, document);
  release(document);
  spareSliders(document);
  if (recorded === null) {
    addEventListener("hashchange", () => store.readAddress());
    store.begin();
  } else {
    addEventListener("error", ({ error }) => damaged(error)); // a foreign recording may fail at any picture
    store.replay(recorded);
  }
  window.tinyresPlay = {
    state: () => store.state,
    frames: () => store.frames.length,
    drawn: () => drawn,
    ready: true,
  };
}

function refuse(sentence: string): void {
  const said = document.createElement("main");
  said.className = "empty";
  said.textContent = sentence;
  document.getElementById("play")?.replaceChildren(said);
}

const damaged = (error: unknown): void =>
  refuse(`The recording in this page is damaged (${String(error)}). Save it again.`);

try {
  start(document.getElementById("play") as HTMLElement);
} catch (error) {
  damaged(error);
}
