// What the page shows is a function of this.

import type { History } from "./history";
import type { Frame, Hello, LabName, Notice, Setting, Start, Story, Value } from "./protocol";
import type { Theme } from "./save";

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
  /** The number under which the page last asked for another picture, and for playing or not. */
  ask: number;
  moved: number;
  /** What was asked last, or is still awaited, starts anew. */
  anew: boolean;
  at: number;
  playing: boolean;
  speed: number | null;
  notices: Notice[];
  story: Story | null;
  guess: Value | null;
  told: boolean;
  /** What answered the story: the first picture, after the guess, of the steps that it names. */
  answered: Seen | null;
  view: View;
  block: number | null;
  dialog: Dialog;
  script: string | null;
  theme: Theme;
  /** On a small screen the knobs lie over the foot of the page when asked for. */
  sheet: boolean;
}

/** Whether the picture is still that of an earlier setting than the knobs show. */
export const isComputing = ({ link, start, seen, ask }: State): boolean =>
  link === "open" && seen !== null && (seen.start !== start || (seen.frame.ask ?? 0) < ask);

export const OPENING: State = {
  link: "connecting", why: "", hello: null, lab: "net", setting: {}, start: null, seen: null, ask: 0, moved: 0, anew: false,
  at: 0, playing: false, speed: null, notices: [], story: null, guess: null, told: false, answered: null, view: "both", block: null, dialog: null,
  script: null, theme: "auto", sheet: false,
}; // prettier-ignore
