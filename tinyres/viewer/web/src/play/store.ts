// What changes the state: messages, and clicks and keys, which also send messages.

import { read, written } from "./address";
import { settled } from "./answers";
import { History } from "./history";
import type { Frame, GameFrame, Hello, Knob, LabName, Message, NetFrame, Notice, Sent, Setting, Start, Story, Table, Value } from "./protocol";
import { isGame } from "./protocol";
import { defaults, same, settingOf, suiting } from "./settings";
import { isComputing, OPENING, type Seen, type State } from "./state";
import { download, type Theme } from "./save";
import type { Ears, Wire } from "./wire";

const KEPT = 300; // frames that the page keeps for the time when the server is gone
const APART = 60; // ms between two messages while a slider is moved

export class Store implements Ears {
  state: State = OPENING;
  frames: Seen[] = [];
  /** Tables that came with a recording. */
  readonly tables: Table[] = [];
  private wire: Wire | null = null;
  private history = new History();
  private readonly watchers: ((state: State) => void)[] = [];
  private waiting = false;
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
    this.want({
      type: "hello",
      ...(asked.lab ? { lab: asked.lab } : {}),
      ...(Object.keys(asked.setting).length ? { setting: asked.setting } : {}),
    });
    if (this.state.speed !== null) this.speed(this.state.speed); // a new session knows of none
  }

  onclose(why: string): void {
    if (this.state.link === "lost") return;
    this.unsent = {};
    this.set({ link: "lost", why, playing: false, at: Math.max(0, this.frames.length - 1) });
    if (this.state.seen !== null) this.look(this.frames.length); // with its own knobs
  }

  onmessage(message: Message): void {
    switch (message.type) {
      case "hello":
        return this.greet(message);
      case "start":
        this.history = new History();
        return this.set({ start: message, block: null, ...this.knobsOf(message, message.lab, message.setting) });
      case "setting":
        return this.set(this.knobsOf(message, message.lab, message.setting));
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
    const ask = frame.ask ?? this.state.ask; // one that names none answers all that was asked until now
    const seen = { start, frame: { ...dear(before, start), ...frame, ask } as Frame, history: this.history };
    this.frames.push(seen);
    if (link === "replay") return;
    if (this.frames.length > KEPT) this.frames.splice(0, this.frames.length - KEPT);
    const healed = this.state.seen?.frame.diverged?.text;
    const notices = this.state.notices.filter(({ text }) => frame.diverged || text !== healed);
    // A picture that was asked for before a story began is not shown beside it.
    const playing = (frame.ask ?? Infinity) < this.state.moved ? this.state.playing : frame.playing;
    if (this.answers(frame) || this.state.seen !== null)
      this.set({ seen, playing, notices, ...this.knobsOf(frame, start.lab, settingOf(seen)) });
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.send({ type: "ready", step: this.state.seen?.frame.step ?? 0 });
    });
  }

  private answers({ ask }: { ask?: number | null }): boolean {
    return (ask ?? this.state.ask) >= this.state.ask;
  }

  /** The knobs as they came, unless somebody has turned one since they were sent. */
  private knobsOf(message: { ask?: number | null }, lab: LabName, setting: Setting): Partial<State> {
    if (!this.answers(message) || (lab === this.state.lab && same(setting, this.state.setting))) return {};
    return { lab, setting };
  }

  private get next(): number {
    return Math.max(this.state.ask, this.state.moved) + 1;
  }

  /** Send what starts anew, and note that its answer is awaited; the change is shown at once. */
  private want(message: Sent, change: Partial<State> = {}): void {
    this.flush();
    this.set({ ...change, ask: this.next, anew: true });
    this.move(message, false, this.state.ask);
  }

  /** Send what decides whether it plays: pictures on their way from before it do not. */
  private move(message: Sent, playing: boolean, moved = this.next): void {
    if (this.state.link !== "open") return;
    this.send({ ...message, ask: moved });
    this.set({ playing, moved });
  }

  send(message: Sent): void {
    if (this.state.link === "open") this.wire?.send(message);
  }

  watch(watcher: (state: State) => void): void {
    this.watchers.push(watcher);
  }

  set(change: Partial<State>): void {
    this.state = settled({ ...this.state, ...change });
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
    this.set({ seen, at: to, start, lab: start.lab, setting: settingOf(seen), playing: this.state.playing && !ended });
  }

  get local(): boolean {
    return this.state.link === "lost" || this.state.link === "replay";
  }

  get knobs(): Knob[] {
    return this.knobsIn(this.state.lab);
  }

  private knobsIn(lab: LabName): Knob[] {
    return this.state.hello?.labs.find(({ name }) => name === lab)?.knobs ?? [];
  }

  /** One message for all that was turned meanwhile. */
  turn(name: string, value: Value): void {
    if (this.local || this.state.setting[name] === value) return;
    const live = this.knobs.find((knob) => knob.name === name)?.live ?? false;
    const anew = !live || (this.state.anew && isComputing(this.state));
    this.set({ notices: [], setting: { ...this.state.setting, [name]: value }, ask: this.next, anew });
    this.unsent[name] = value;
    if (this.timer === undefined) this.flush();
  }

  private flush = (): void => {
    window.clearTimeout(this.timer);
    this.timer = undefined;
    if (Object.keys(this.unsent).length === 0) return;
    this.send({ type: "set", values: this.unsent, ask: this.state.ask });
    this.unsent = {};
    this.timer = window.setTimeout(this.flush, APART);
  };

  play(): void {
    const { playing, at } = this.state;
    const plays = this.frames.length > 0 && !playing;
    if (!this.local) return this.move({ type: playing ? "pause" : "play" }, plays);
    if (plays && at === this.frames.length - 1) this.look(0);
    this.set({ playing: plays });
  }

  step(by: number): void {
    if (this.local) return this.set({ playing: false }), this.look(this.state.at + by);
    this.move({ type: "step", by }, false);
  }

  seek(step: number): void {
    this.move({ type: "seek", step }, false);
  }

  /** To the first or the last that can be shown. */
  end(which: 0 | 1): void {
    if (this.local) return this.look(which * this.frames.length);
    const kept = this.state.seen?.frame.kept;
    if (kept) this.seek(kept[which]);
  }

  reset(): void {
    if (!this.local) this.want({ type: "reset" });
  }

  choose(lab: LabName): void {
    if (this.local || lab === this.state.lab) return;
    this.leave({ type: "lab", name: lab }, { lab, setting: defaults(this.knobsIn(lab)), story: null });
  }

  tell(story: Story): void {
    const { name, lab, setting } = story;
    this.leave({ type: "story", name }, { story, lab, setting, dialog: null });
  }

  /** On to something else: its knobs are there at once, and nothing of what was. */
  private leave(message: Sent, change: Partial<State>): void {
    this.unsent = {};
    this.want(message, { guess: null, told: false, answered: null, notices: [], seen: null, ...change });
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
    const lab = asked.lab ?? this.state.lab;
    const setting = suiting(asked.setting, this.knobsIn(lab));
    this.leave({ type: "hello", lab, setting: asked.setting }, { story, lab, setting });
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
