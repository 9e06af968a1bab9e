// What the page shows is a function of this. Messages change it, and so do clicks and keys, which also send messages.

import { read, written } from "./address";
import { History } from "./history";
import type { Frame, GameFrame, Hello, Knob, LabName, Message, NetFrame, Notice, Sent, Setting, Start, Story, Table, Value } from "./protocol";
import { isGame } from "./protocol";
import { download, type Theme } from "./save";
import type { Ears, Wire } from "./wire";

export type View = "both" | "signal" | "gradient" | "dead";
export type Dialog = null | "help" | "stories" | "script" | "link";

/** A frame with the run that it belongs to and what was measured before it. */
export interface Seen {
  start: Start;
  frame: Frame;
  history: History;
}

export interface State {
  /** "lost" and "replay" move along the frames that are in the page. */
  link: "connecting" | "open" | "lost" | "replay";
  why: string;
  hello: Hello | null;
  lab: LabName;
  setting: Setting;
  start: Start | null;
  seen: Seen | null;
  at: number;
  playing: boolean;
  speed: number | null;
  notices: Notice[];
  story: Story | null;
  guess: Value | null;
  told: boolean;
  view: View;
  block: number | null;
  dialog: Dialog;
  script: string | null;
  theme: Theme;
  /** On a small screen the knobs lie over the foot of the page when asked for. */
  sheet: boolean;
}

const KEPT = 300; // frames that the page keeps for the time when the server is gone
const SOON = 700; // ms within which an answer to a turned knob comes
const APART = 60; // ms between two messages while a slider is moved

export class Store implements Ears {
  state: State = {
    link: "connecting", why: "", hello: null, lab: "net", setting: {}, start: null, seen: null, at: 0, playing: false,
    speed: null, notices: [], story: null, guess: null, told: false, view: "both", block: null, dialog: null,
    script: null, theme: "auto", sheet: false,
  }; // prettier-ignore
  frames: Seen[] = [];
  /** Tables that came with a recording. */
  readonly tables: Table[] = [];
  private wire: Wire | null = null;
  private history = new History();
  private readonly watchers: ((state: State) => void)[] = [];
  private waiting = false;
  private turned = new Map<string, number>();
  private unsent: Setting = {};
  private timer: number | undefined;

  /** `connect` makes the wire; `addressed` says whether the page's address is ours. */
  constructor(
    private readonly connect: ((ears: Ears) => Wire) | null,
    readonly addressed: boolean,
  ) {}

  begin(): void {
    if (this.connect === null) return;
    this.wire?.close();
    this.set({ link: "connecting" });
    this.wire = this.connect(this);
  }

  onopen(): void {
    const { hello, lab, setting } = this.state;
    const asked = hello !== null ? { lab, setting } : this.addressed ? read(location.hash) : { setting: {} };
    this.set({ link: "open" });
    this.send({
      type: "hello",
      ...(asked.lab ? { lab: asked.lab } : {}),
      ...(Object.keys(asked.setting).length ? { setting: asked.setting } : {}),
    });
  }

  onclose(why: string): void {
    if (this.state.link === "lost") return;
    this.set({ link: "lost", why, playing: false, at: Math.max(0, this.frames.length - 1) });
  }

  onmessage(message: Message): void {
    switch (message.type) {
      case "hello":
        return this.greet(message);
      case "start":
        this.history = new History();
        return this.set({ start: message, lab: message.lab, setting: this.kept(message.setting), block: null });
      case "setting":
        if (message.lab === this.state.lab) this.set({ setting: this.kept(message.setting) });
        return;
      case "frame":
        return this.see(message);
      case "notice":
        return this.set({ notices: [...this.state.notices.filter((n) => n.text !== message.text), message].slice(-3) });
      case "script":
        return this.set({ script: message.text, dialog: this.state.link === "replay" ? null : "script" });
      case "page":
        return download(message.name, message.text, "text/html");
      case "table":
        if (this.state.link === "replay") this.tables.push(message);
        else saved(message);
    }
  }

  private greet(hello: Hello): void {
    const asked = this.addressed && this.state.hello === null ? read(location.hash).story : undefined;
    const story = hello.stories.find(({ name }) => name === asked) ?? this.state.story;
    this.set({ hello, story, ...(this.state.start ? {} : { setting: hello.setting, lab: hello.lab ?? this.state.lab }) });
  }

  private see(frame: Frame): void {
    const { start, link } = this.state;
    if (start === null || frame.run !== start.run || isGame(frame) !== (start.lab === "game")) return; // a late one
    this.history = this.history.with(frame);
    const before = this.frames.at(-1);
    const seen = { start, frame: { ...dear(before, start), ...frame } as Frame, history: this.history };
    this.frames.push(seen);
    if (link === "replay") return;
    if (this.frames.length > KEPT) this.frames.splice(0, this.frames.length - KEPT);
    const healed = this.state.seen?.frame.diverged?.text;
    const notices = this.state.notices.filter(({ text }) => frame.diverged || text !== healed);
    this.set({ seen, playing: frame.playing, notices });
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.send({ type: "ready", step: this.state.seen?.frame.step ?? 0 });
    });
  }

  /** A setting that came, without undoing a knob that is just being turned. */
  private kept(setting: Setting): Setting {
    const now = performance.now();
    const moving = Object.entries(this.state.setting).filter(([name]) => now - (this.turned.get(name) ?? -SOON) < SOON);
    return { ...setting, ...Object.fromEntries(moving.filter(([name]) => name in setting)) };
  }

  send(message: Sent): void {
    if (this.state.link === "open") this.wire?.send(message);
  }

  watch(watcher: (state: State) => void): void {
    this.watchers.push(watcher);
  }

  set(change: Partial<State>): void {
    this.state = { ...this.state, ...change };
    if (this.addressed && (change.setting || change.lab || change.story !== undefined)) this.address();
    for (const watcher of this.watchers) watcher(this.state);
  }

  private address(): void {
    const { lab, setting, story, hello } = this.state;
    if (hello !== null) history.replaceState(null, "", written(lab, setting, story?.name ?? null));
  }

  /** The frames came with the page. */
  replay(messages: Message[]): void {
    this.set({ link: "replay" });
    for (const message of messages) this.onmessage(message);
    this.look(this.frames.length);
  }

  look(at: number): void {
    const to = Math.min(this.frames.length - 1, Math.max(0, at));
    const seen = this.frames[to];
    if (seen === undefined) return;
    const { start } = seen;
    const ended = to === this.frames.length - 1;
    this.set({ seen, at: to, start, lab: start.lab, setting: start.setting, playing: this.state.playing && !ended });
  }

  get local(): boolean {
    return this.state.link === "lost" || this.state.link === "replay";
  }

  get knobs(): Knob[] {
    return this.state.hello?.labs.find(({ name }) => name === this.state.lab)?.knobs ?? [];
  }

  /** One message for all that was turned meanwhile. */
  turn(name: string, value: Value): void {
    if (this.local || this.state.setting[name] === value) return;
    this.turned.set(name, performance.now());
    this.set({ notices: [], setting: { ...this.state.setting, [name]: value } });
    this.unsent[name] = value;
    if (this.timer !== undefined) return;
    const flush = (): void => {
      if (Object.keys(this.unsent).length === 0) return void (this.timer = undefined);
      this.send({ type: "set", values: this.unsent });
      this.unsent = {};
      this.timer = window.setTimeout(flush, APART);
    };
    flush();
  }

  play(): void {
    const { playing, link, at } = this.state;
    if (this.local) {
      if (!playing && at === this.frames.length - 1) this.look(0);
    } else this.send({ type: playing ? "pause" : "play" });
    if (link !== "connecting" && this.frames.length) this.set({ playing: !playing });
  }

  step(by: number): void {
    if (this.local) return this.set({ playing: false }), this.look(this.state.at + by);
    if (this.state.playing) this.send({ type: "pause" });
    this.send({ type: "step", by });
  }

  seek(step: number): void {
    if (this.state.playing) this.send({ type: "pause" });
    this.send({ type: "seek", step });
  }

  /** To the first or the last that can be shown. */
  end(which: 0 | 1): void {
    if (this.local) return this.look(which * this.frames.length);
    const kept = this.state.seen?.frame.kept;
    if (kept) this.seek(kept[which]);
  }

  reset(): void {
    this.send({ type: "reset" });
  }

  choose(lab: LabName): void {
    if (this.local || lab === this.state.lab) return;
    this.set({ story: null, start: null, seen: null });
    this.send({ type: "lab", name: lab });
  }

  tell(story: Story): void {
    this.turned.clear();
    this.set({ story, guess: null, told: false, dialog: null, start: null, seen: null });
    this.send({ type: "story", name: story.name });
  }

  speed(steps_per_second: number | null): void {
    this.set({ speed: steps_per_second });
    this.send({ type: "speed", steps_per_second });
  }

  theme(theme: Theme): void {
    this.set({ theme });
  }

  dismiss(notice: Notice): void {
    this.set({ notices: this.state.notices.filter((other) => other !== notice) });
  }

  /** Somebody changed what stands behind the #. */
  readAddress(): void {
    const asked = read(location.hash);
    const story = this.state.hello?.stories.find(({ name }) => name === asked.story) ?? null;
    this.turned.clear();
    this.set({ story, guess: null, told: false });
    this.send({ type: "hello", lab: asked.lab ?? this.state.lab, setting: asked.setting });
  }

  /** A table that came with the page. */
  given(format: "csv" | "json"): void {
    const table = this.tables.find((table) => table.format === format);
    if (table !== undefined) saved(table);
  }

  ask(what: "script" | "page" | "csv" | "json"): void {
    if (what === "script") {
      if (this.local) this.set({ dialog: "script" });
      else this.send({ type: "script" });
    } else this.send({ type: "save", what });
  }
}

/** Pictures that are dear to draw come with some frames only; between them the last ones stay. */
function dear(before: Seen | undefined, start: Start): Partial<GameFrame & NetFrame> {
  if (before?.start !== start) return {};
  const { boundary, level, modes, images } = before.frame as GameFrame & NetFrame;
  return { boundary: boundary ?? null, level: level ?? null, modes: modes ?? null, images: images ?? null };
}

const saved = ({ name, text, format }: Table): void =>
  download(name, text, format === "csv" ? "text/csv" : "application/json");
