// The document that the page shows: its types, and reading it out of the page.

import { check } from "./validate";

export type Num = number | "NaN" | "Infinity" | "-Infinity";

export interface Op {
  id: number;
  kind: string;
  name: string | null;
  path: string;
  inputs: (number | null)[];
  args: string[];
  roles: (string | null)[] | null;
  static: Record<string, string>;
  shape: number[];
  dtype: string;
  file: string | null;
  line: number | null;
  source: string | null;
  value: number | null;
  /** Computed once more for the backward pass, by a checkpoint. */
  again: boolean;
}

/** As written: what is empty is absent, and the user's lines are in a table. */
type RawOp = Partial<Omit<Op, "id" | "file" | "line" | "source">> &
  Pick<Op, "kind" | "shape" | "dtype"> & { place?: number };
type Place = [file: string | null, line: number | null, source: string | null];

type Whole = { s: number[]; v: Num[]; n: Num; bad?: number };
type Large = { s: number[]; t: string; tlo: Num; thi: Num; lo: Num; hi: Num; n: Num; z: number; bad?: number } & Heads;
type Heads = { h?: string[]; hlo?: Num; hhi?: Num };

type RawEvent =
  | ["f", number]
  | ["s", number, number, number]
  | ["r", number, number, number, number, number]
  | ["a", number, number, number, number, number, number | null, number];

export interface Route {
  role: string;
  event: number;
  norm: Num;
}

export interface Join {
  lane: number;
  op: number;
  name: string;
  routes: Route[];
  angle: number | null;
}

/** The event after which all of it is there. */
export const completed = (join: Join): number => Math.max(...join.routes.map((route) => route.event));

/** A route of a residual sum that got no gradient, and why. */
export interface Silent {
  lane: number;
  op: number;
  arg: number;
  text: string;
}

export interface Rules {
  forward?: string;
  args: Record<string, string>;
  /** Inputs may broadcast; a contribution is then summed to its input's shape. */
  broadcasts?: true;
}

export interface Trace {
  lanes: string[];
  ops: Op[];
  rules: Record<string, Rules>;
  events: RawEvent[];
  arrays: (Whole | Large)[];
  joins: Join[];
  grads: Record<string, number>;
  /** Classes of the modules, by path. */
  modules: Record<string, string>;
  silent: Silent[];
  /** Where to look first. */
  first: { event: number; text: string } | null;
}

/** What documents of earlier versions do not have. */
type Later = Pick<Trace, "modules" | "silent" | "first">;
type RawTrace = Omit<Trace, "ops" | keyof Later> & Partial<Later> & { ops: RawOp[]; places?: Place[] };

export interface RunLane {
  name: string;
  layers: string[];
  steps: number[];
  /** null: nothing arrived. */
  log10: (Num | null)[][];
  skip_share: ((Num | null)[] | null)[] | null;
  loss: (Num | null)[] | null;
  /** Absent where no instrument watched. */
  curves?: Curves[];
}

/** One chart: lines over the recorded steps. */
export interface Curves {
  title: string;
  log: boolean;
  lines: { name: string; values: (Num | null)[] }[];
}

export interface Document {
  format: string;
  version: number;
  title: string;
  tinyres: string;
  trace: Trace | null;
  run: { lanes: RunLane[] } | null;
}

/** One event with its parts named. `op` is what the event changes: what is computed, seeded or sent to. */
export interface Event {
  kind: "forward" | "seed" | "rule" | "accumulate";
  lane: number | null;
  op: number;
  consumer: number | null;
  arg: number;
  contribution: number | null;
  before: number | null;
  total: number | null;
}

const NOTHING = { lane: null, consumer: null, arg: 0, contribution: null, before: null, total: null };

function named(raw: RawEvent): Event {
  switch (raw[0]) {
    case "f":
      return { ...NOTHING, kind: "forward", op: raw[1] };
    case "s":
      return { ...NOTHING, kind: "seed", lane: raw[1], op: raw[2], total: raw[3] };
    case "r":
      return {
        ...NOTHING,
        kind: "rule",
        lane: raw[1],
        consumer: raw[2],
        arg: raw[3],
        op: raw[4],
        contribution: raw[5],
      };
    case "a": {
      const [, lane, consumer, arg, op, contribution, before, total] = raw;
      return { kind: "accumulate", lane, consumer, arg, op, contribution, before, total };
    }
  }
}

/** Events are decoded on demand, so that a long trace opens as fast as a short one. */
export function eventAt(trace: Trace, index: number): Event {
  return named(trace.events[index] as RawEvent);
}

/** The document in the page, or a message that says why it cannot be shown. */
export function load(): Document | string {
  const element = document.getElementById("tinyres-data");
  if (element === null) return 'This page holds no recording. Make one with tr.trace(loss).save("step.html").';
  let found: Omit<Document, "trace"> & { trace: RawTrace | null };
  try {
    found = JSON.parse(element.textContent ?? "") as typeof found;
  } catch (error) {
    return `The recording in this page cannot be read: ${String(error)}. Save it again.`;
  }
  if (found.format !== "tinyres-trace" || found.version !== 1)
    return `This page shows version 1 of tinyres-trace, but its recording has version ${found.version} of ${found.format}.`;
  check(found as unknown as Record<string, unknown>);
  return { ...found, trace: found.trace?.events.length ? complete(found.trace) : null };
}

function complete(trace: RawTrace): Trace {
  const ops = trace.ops.map((op, id): Op => {
    const [file, line, source] = trace.places?.[op.place ?? -1] ?? [null, null, null];
    const absent = { name: null, path: "", inputs: [], args: [], roles: null, static: {}, value: null, again: false };
    return { ...absent, ...op, id, file, line, source };
  });
  return { modules: {}, silent: [], first: null, ...trace, ops };
}

export const toNumber = (value: Num): number => (typeof value === "number" ? value : Number(value));

/** If no gradient arrived, the norm is zero. */
export const toLog = (value: Num | null | undefined): number => (value == null ? -Infinity : toNumber(value));
