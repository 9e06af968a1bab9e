// #step=137&lane=0&pass=b: the address of what is shown. It is kept by the page and read when it changes.

import { eventAt } from "./data";
import type { Store } from "./state";
import { passOf } from "./text";

export function read(store: Store): void {
  if (store.recording === null) return;
  const asked = new URLSearchParams(location.hash.slice(1));
  const lane = Number(asked.get("lane"));
  const pass = asked.get("pass") === "b" ? "b" : "f";
  if (asked.has("step")) store.go(Number(asked.get("step")));
  else if (asked.has("lane") || asked.has("pass")) store.go(store.recording.replay.find(pass, lane, null));
}

export function keep(store: Store): void {
  let written = location.hash;
  const write = (): void => {
    if (store.recording === null) return;
    const { step } = store.state;
    const hash = `#step=${step}&lane=${store.lane}&pass=${passOf(eventAt(store.recording.trace, step))}`;
    if (hash === written) return;
    written = hash;
    try {
      history.replaceState(null, "", hash);
    } catch {
      // A sandboxed frame has no address of its own, and a browser may limit how often it changes.
    }
  };
  store.watch(write);
  addEventListener("hashchange", () => {
    if (location.hash !== written) read(store);
  });
}
