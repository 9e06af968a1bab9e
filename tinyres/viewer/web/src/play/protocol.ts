// What passes between the page and the engine: the types, and numbers and arrays as JSON carries them.

export type Value = number | string | boolean;
export type Setting = Record<string, Value>;
export type LabName = "net" | "game";

export interface Knob {
  name: string;
  label: string;
  help: string;
  group: string;
  kind: "number" | "integer" | "choice" | "flag";
  default: Value;
  min?: number;
  max?: number;
  /** What may be typed, where it is more than the slider has. */
  limit?: [number, number];
  step?: number;
  scale?: "linear" | "log";
  choices?: { value: Value; label: string }[];
  /** Takes effect in the next step; otherwise the run starts anew. */
  live: boolean;
  /** Shown only while these other knobs have one of these values. */
  when?: Record<string, Value[]>;
}

export interface Lab {
  name: LabName;
  title: string;
  knobs: Knob[];
}

export interface Guess {
  question: string;
  kind: "slider" | "buttons";
  choices?: ({ value: Value; label: string } | string)[];
  min?: number;
  max?: number;
  scale?: "linear" | "log";
}

export interface Story {
  name: string;
  title: string;
  text: string;
  /** Authors and year; the title, which may tell the answer, comes with it. */
  source: string;
  paper?: string;
  url?: string | null;
  lab: LabName;
  setting: Setting;
  guess: Guess;
  /** After `steps` the answer is there; `measure` is what of the run gives it, `watch` where to look until then. */
  answer: { text: string; value?: Value | null; steps?: number; measure?: "orbit" | "modes" | "gradient" | ""; watch?: string };
  look: string;
}

export interface Hello {
  type: "hello";
  version: string;
  labs: Lab[];
  stories: Story[];
  setting: Setting;
  lab?: LabName;
}

export interface Block {
  name: string;
  kind: string;
  routes: boolean;
  parameters: number;
  /** Layers with weights, one after the other. */
  layers?: number;
}

export interface Law {
  name: string;
  formula: string;
  source: string;
  /** Norms at the blocks' outputs, up to a common factor. */
  gradient: number[] | null;
  signal: number[] | null;
  /** Most nets have their gradient at the first block within this factor of the law. */
  scatter?: number | null;
}

export type Bounds = [x0: number, x1: number, y0: number, y1: number];

/** What answers the page names the last message with `ask` that was followed before it was made. */
interface Answer {
  ask?: number | null;
}

export interface Start extends Answer {
  type: "start";
  run: number | string;
  lab: LabName;
  /** As the run began; a frame has what was turned since. */
  setting: Setting;
  net: { blocks: Block[]; parameters: number } | null;
  /** Of the net as it began; a frame has its own once a scale has been turned. */
  law: Law | null;
  data: { points: [number, number][]; labels: number[]; box: Bounds } | null;
}

export interface Diverged {
  step: number;
  layer: string | number | null;
  text: string;
}

interface AnyFrame extends Answer {
  type: "frame";
  run: number | string;
  step: number;
  /** The first and the last step that the engine can go back to. */
  kept: [number, number];
  playing: boolean;
  rate: number | null;
  diverged: Diverged | null;
  /** Knobs that stand otherwise than at the start of the run. */
  turned?: Setting;
}

/** Lists have one entry for each block, input side first. */
export interface NetFrame extends AnyFrame {
  loss: number;
  accuracy: number | null;
  signal: number[];
  gradient: number[];
  dead: (number | null)[];
  skip: (number | null)[];
  branch: (number | null)[];
  share: (number | null)[];
  law_gap: number | null;
  law?: Law;
  history: { step: number[]; loss: number[]; accuracy: (number | null)[]; heat: number[][] } | null;
  boundary?: Packed | null;
}

export interface GameFrame extends AnyFrame {
  losses: { d: number; g: number };
  gradient_g: number;
  gradient_d: number;
  real: [number, number][];
  fake: [number, number][];
  pull: [number, number][];
  level: Packed | null;
  box: Bounds;
  probe: { confidence: number[]; measured: number[]; closed: number[] | null } | null;
  orbit: [number, number][] | null;
  modes: { found: number; of: number } | null;
  /** Generated digits, [number, height, width]. */
  images?: Packed | null;
  history?: { step: number[]; d: number[]; g: number[]; gradient_g: number[]; gradient_d: number[] } | null;
}

export type Frame = NetFrame | GameFrame;

export const isGame = (frame: Frame): frame is GameFrame => "losses" in frame;

/** The law of the net that a frame shows. */
export const lawOf = (start: Start, frame: NetFrame): Law | null => frame.law ?? start.law;

export interface Notice {
  type: "notice";
  level: "info" | "warning" | "error";
  text: string;
  mend?: { label: string; message: Sent } | null;
}

export interface Table {
  type: "table";
  name: string;
  format: "csv" | "json";
  text: string;
}

export type Message =
  | Hello
  | Start
  | Frame
  | Notice
  | Table
  | ({ type: "setting"; lab: LabName; setting: Setting } & Answer)
  | { type: "script"; text: string }
  | { type: "page"; name: string; text: string };

/** What the page sends. */
export type Sent = { type: string } & Record<string, unknown>;

/** An array as base64 of its little-endian bytes, or as nested lists. */
export type Packed = { shape: number[]; dtype: string; data: string } | number[][] | number[][][];

export interface Grid {
  rows: number;
  columns: number;
  /** Numbers a place: 1, or one for each class. */
  depth: number;
  values: ArrayLike<number>;
}

export function unpacked(packed: Packed): Grid {
  if (Array.isArray(packed)) {
    const first = packed[0] ?? [];
    const depth = Array.isArray(first[0]) ? first[0].length : 1;
    return { rows: packed.length, columns: first.length, depth, values: packed.flat(2) as number[] };
  }
  const [rows = 0, columns = 0, depth = 1] = packed.shape;
  const values = valuesOf(packed.dtype, packed.data);
  if (values.length !== rows * columns * depth)
    throw new Error(`an array of shape ${packed.shape} came with ${values.length} values`);
  return { rows, columns, depth, values };
}

/** Bytes as shares of 255. */
function valuesOf(dtype: string, data: string): Float32Array {
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  return dtype === "u1" ? Float32Array.from(bytes, (byte) => byte / 255) : new Float32Array(bytes.buffer);
}

const WORDS: Record<string, number> = { NaN: NaN, Infinity: Infinity, "-Infinity": -Infinity };

/** NaN and the infinities, which JSON has not, come as words. */
export function numbers<T>(value: T): T {
  if (typeof value === "string") return (WORDS[value] ?? value) as T;
  if (Array.isArray(value)) return value.map(numbers) as T;
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, inside]) => [key, numbers(inside)])) as T;
}

/** Throws a sentence if it is no message. */
export function message(given: unknown): Message {
  const type = (given as { type?: unknown } | null)?.type;
  if (typeof type !== "string") throw new Error(`a message without a type came: ${JSON.stringify(given).slice(0, 80)}`);
  return type === "script" || type === "page" || type === "table" ? (given as Message) : numbers(given as Message);
}
