// The state at a step as a pure function of (document, step), so that stepping back restores it exactly.

import { completed, eventAt, type Join, type Op, type Trace } from "./data";

const NEVER = Number.POSITIVE_INFINITY;

/** The events that gave an op its cotangent in one lane, and the array that each left behind. */
interface History {
  at: number[];
  total: number[];
}

export class Replay {
  /** When each op was computed; leaves and constants are there from the start. */
  readonly forwardAt: number[];
  /** Whose pass each event belongs to: a forward event to the backward pass that it leads to. */
  readonly laneAt: number[];
  /** By edge "consumer:argument" and lane, when its contribution was added. */
  private readonly edges: Map<string, number[]> = new Map();
  private readonly histories: Map<number, History>[];
  private readonly rejoined: Map<string, string> = new Map();
  /** Where the routes of blocks rejoin, by the event that completes them, in the order of events. */
  readonly rejoins: Map<number, Join[]> = new Map();

  constructor(readonly trace: Trace) {
    this.forwardAt = trace.ops.map(() => -1);
    this.histories = trace.lanes.map(() => new Map<number, History>());
    this.laneAt = lanesOf(trace);
    for (let i = 0; i < trace.events.length; i++) {
      const event = eventAt(trace, i);
      if (event.kind === "forward") {
        if ((this.forwardAt[event.op] as number) < 0) this.forwardAt[event.op] = i;
        continue;
      }
      if (event.kind === "rule") continue;
      const lane = event.lane as number;
      this.remember(lane, event.op, i, event.total as number);
      if (event.kind === "accumulate") {
        const key = `${event.consumer}:${event.arg}`;
        const when = this.edges.get(key) ?? trace.lanes.map(() => NEVER);
        when[lane] = Math.min(when[lane] as number, i);
        this.edges.set(key, when);
      }
    }
    for (const join of [...trace.joins].sort((a, b) => completed(a) - completed(b)))
      this.rejoins.set(completed(join), [...(this.rejoins.get(completed(join)) ?? []), join]);
    for (const join of trace.joins)
      for (const route of join.routes) {
        const event = trace.events[route.event];
        if (event?.[0] === "a") this.rejoined.set(`${event[2]}:${event[3]}`, route.role);
      }
  }

  private remember(lane: number, op: number, at: number, total: number): void {
    const histories = this.histories[lane] as Map<number, History>;
    let history = histories.get(op);
    if (history === undefined) histories.set(op, (history = { at: [], total: [] }));
    history.at.push(at);
    history.total.push(total);
  }

  /** The array that holds an op's accumulated gradient after `step`; null before its first contribution. */
  gradient(lane: number, op: number, step: number): number | null {
    const history = this.histories[lane]?.get(op);
    if (history === undefined) return null;
    let [low, high] = [0, history.at.length]; // the number of contributions up to `step`
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((history.at[middle] as number) <= step) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? null : (history.total[low - 1] as number);
  }

  reachedAt(lane: number, op: number): number {
    return this.histories[lane]?.get(op)?.at[0] ?? NEVER;
  }

  walkedAt(lane: number, consumer: number, arg: number): number {
    return this.edges.get(`${consumer}:${arg}`)?.[lane] ?? NEVER;
  }

  /** skip or branch: at the sum in the forward pass, or at the block's input, where the routes rejoin. */
  role(consumer: Op, arg: number): string | null {
    return consumer.roles?.[arg] ?? this.rejoined.get(`${consumer.id}:${arg}`) ?? null;
  }

  /** Why an argument of a residual sum gets no gradient; null where it gets one. */
  silent(lane: number, consumer: number, arg: number): string | null {
    return this.trace.silent.find((s) => s.lane === lane && s.op === consumer && s.arg === arg)?.text ?? null;
  }

  /**
   * Where an op is shown, and what is said of it: the event that gives it a gradient; else the one that computes it; else
   * the first that uses it.
   */
  where(pass: "f" | "b", lane: number, op: number): [number, string] {
    const reached = this.reachedAt(lane, op);
    if (pass === "b" && reached < NEVER) return [reached, ""];
    const none = pass === "b" ? ", no gradient" : "";
    const at = this.forwardAt[op] as number;
    if (at >= 0) return [at, none];
    const first = this.trace.events.findIndex((e) => e[0] === "f" && this.trace.ops[e[1]]?.inputs.includes(op));
    return first < 0 ? [this.find(pass, lane, null), `${none}, not used`] : [first, `${none}, first used here`];
  }

  /** The event that computes an op, or that first gives it a gradient; without either, the first of the pass. */
  find(pass: "f" | "b", lane: number, op: number | null): number {
    const at = op === null ? NEVER : pass === "f" ? (this.forwardAt[op] as number) : this.reachedAt(lane, op);
    if (at >= 0 && at < NEVER) return at;
    const start = this.trace.events.findIndex((e, i) => this.laneAt[i] === lane && (e[0] === "f") === (pass === "f"));
    return start >= 0 ? start : Math.max(0, this.laneAt.indexOf(lane));
  }
}

function lanesOf(trace: Trace): number[] {
  const lanes: number[] = new Array(trace.events.length).fill(0) as number[];
  let lane = Math.max(0, trace.lanes.length - 1);
  for (let i = trace.events.length - 1; i >= 0; i--) {
    lane = eventAt(trace, i).lane ?? lane;
    lanes[i] = lane;
  }
  return lanes;
}
