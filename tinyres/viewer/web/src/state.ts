// What the page shows is a function of this and of the document.

import { eventAt, type Document, type Op, type RunLane, type Trace } from "./data";
import { called, callsOf, openedAtFirst, type Calls } from "./modules";
import { Replay } from "./replay";
import { many, nameOf, passOf, rejoinsAt, sentence } from "./text";

export interface State {
  step: number;
  opened: ReadonlySet<string>;
  view: "graph" | "table";
  dialog: null | "help" | "search";
  playing: boolean;
  /** Events a second. */
  speed: number;
  /** Which element of the current contribution is written out; null: the largest. */
  element: number | null;
  /** null: as wide as the pane, within reason. */
  zoom: number | null;
  runStep: number;
  /** Whether keys that are letters or signs do something. */
  letters: boolean;
  /** What the last key did to the view; screen readers announce it. The event has a sentence of its own. */
  said: string;
}

export interface Recording {
  trace: Trace;
  calls: Calls;
  replay: Replay;
}


export class Store {
  readonly recording: Recording | null;
  readonly run: RunLane[];
  state: State;
  private readonly watchers: ((state: State) => void)[] = [];

  constructor(readonly data: Document) {
    this.recording = data.trace && {
      trace: data.trace,
      calls: callsOf(data.trace),
      replay: new Replay(data.trace),
    };
    this.run = data.run?.lanes.filter((lane) => lane.steps.length > 0) ?? [];
    const longest = Math.max(0, ...this.run.map((lane) => lane.steps.length - 1));
    const opened = this.recording ? openedAtFirst(this.recording.calls) : new Set<string>();
    this.state = {
      step: 0,
      opened,
      view: "graph",
      dialog: null,
      playing: false,
      speed: 2,
      element: null,
      zoom: null,
      runStep: longest,
      letters: true,
      said: "",
    };
  }

  watch(watcher: (state: State) => void): void {
    this.watchers.push(watcher);
  }

  set(change: Partial<State>): void {
    this.state = { ...this.state, ...change };
    for (const watcher of this.watchers) watcher(this.state);
  }

  get last(): number {
    return (this.recording?.trace.events.length ?? 1) - 1;
  }

  go(step: number): void {
    if (this.recording === null) return;
    const to = Math.min(this.last, Math.max(0, Math.trunc(step) || 0));
    const playing = this.state.playing && to < this.last;
    this.set({ step: to, said: this.state.playing && !playing ? this.paused(to) : "", element: null, playing });
  }

  /** While it plays the sentences are not announced; the one where it stops is. */
  paused(step: number): string {
    if (this.recording === null) return "";
    const { trace } = this.recording;
    return `Paused at event ${step + 1}: ${sentence(trace, step)}${rejoinsAt(trace, step)}`;
  }

  /** The next event (or the one before) in another module. */
  goModule(direction: 1 | -1): void {
    if (this.recording === null) return;
    const { trace, calls } = this.recording;
    const where = (step: number) => {
      const event = eventAt(trace, step);
      return calls.of[event.consumer ?? event.op];
    };
    let step = this.state.step;
    const here = where(step);
    while (step + direction >= 0 && step + direction <= this.last) {
      step += direction;
      if (where(step) !== here) break;
    }
    this.go(step);
  }

  /** Where the routes of the next block rejoin, or of the one before. */
  rejoin(direction: 1 | -1): number | undefined {
    const steps = [...(this.recording?.replay.rejoins.keys() ?? [])];
    const { step } = this.state;
    return direction > 0 ? steps.find((at) => at > step) : steps.findLast((at) => at < step);
  }

  goRejoin(direction: 1 | -1): void {
    const to = this.rejoin(direction);
    if (to === undefined) this.set({ said: "No further rejoin" });
    else this.go(to);
  }

  /** The lane follows from the step. */
  get lane(): number {
    return this.recording?.replay.laneAt[this.state.step] ?? 0;
  }

  /** The same operation in the other pass; in the pass itself, its beginning. */
  goPass(pass: "f" | "b"): void {
    if (this.recording === null) return;
    const event = eventAt(this.recording.trace, this.state.step);
    const there = (event.kind === "forward") === (pass === "f");
    this.go(this.recording.replay.find(pass, this.lane, there ? null : event.op));
  }

  /** To where a lane's backward pass begins. */
  goLane(lane: number): void {
    if (this.recording !== null) this.go(this.recording.replay.find("b", lane, null));
  }

  /** The event's own sentence is announced as well; `found` is said before the name. */
  goOp(op: number, found = "", name?: string): void {
    if (this.recording === null) return;
    const { trace, replay } = this.recording;
    const [step, how] = replay.where(passOf(eventAt(trace, this.state.step)), this.lane, op);
    this.go(step);
    if (found || how) this.set({ said: `${found}${name ?? nameOf(trace.ops[op] as Op)}${how}` });
  }

  /** What `zoom: null` comes to, and the least scale that `fit` does: all of the graph, or what can be read. */
  fitting = 1;
  least = 1;

  /** Whether `zoom: null` shows all. */
  get inView(): boolean {
    return this.least >= this.fitting;
  }

  /** More of the graph in smaller print, or what can be read with ease. */
  fit(): void {
    this.set({ zoom: this.state.zoom === null && !this.inView ? this.least : null });
  }

  zoomBy(factor: number): void {
    const zoom = Math.min(2, Math.max(0.05, (this.state.zoom ?? this.fitting) * factor));
    this.set({ zoom: Math.abs(zoom - this.fitting) < 1e-9 ? null : zoom });
  }

  toggle(key: string): void {
    const opened = new Set(this.state.opened);
    const closed = opened.delete(key);
    if (!closed) opened.add(key);
    const call = this.recording?.calls.byKey.get(key);
    const name = call === undefined ? "" : called(call.path, call);
    this.set({ opened, said: `Module ${name} ${closed ? "closed" : "opened"}` });
  }

  /** E: open what hides the current op, or else close the module around it. */
  toggleAround(op: number): void {
    if (this.recording === null) return;
    const { calls } = this.recording;
    let call = calls.of[op];
    let outermostClosed = null;
    for (let c = call; c && c.parent !== null; c = c.parent) if (!this.state.opened.has(c.key)) outermostClosed = c;
    call = outermostClosed ?? call;
    if (call && call.parent !== null) this.toggle(call.key);
  }

  get allOpen(): boolean {
    return this.state.opened.size === this.recording?.calls.byKey.size;
  }

  toggleAll(): void {
    if (this.recording === null) return;
    const { byKey } = this.recording.calls;
    const said = byKey.size === 0 ? "There are no modules" : `All modules ${this.allOpen ? "closed" : "opened"}`;
    this.set({ opened: new Set(this.allOpen ? [] : byKey.keys()), said });
  }

  show(view: State["view"]): void {
    const what = many(this.recording?.trace.ops.length ?? 0, "operation");
    this.set({ view, said: view === "graph" ? "Shown as a graph" : `Shown as a table of ${what}` });
  }
}
