// Modules as nodes that open and close. There is no compound layout: a closed module is one ordinary node.
//
// What stands for a module is one *call* of it, a run of consecutive operations under its path. Operations are sorted
// with parents before consumers, so contracting a run can never make a cycle, however often a module is called.

import type { Op, Trace } from "./data";

export interface Call {
  key: string;
  path: string;
  label: string;
  /** The module's class, or nothing where it is not known. */
  kind: string;
  parent: Call | null;
  /** The operation that it begins with; the top has none. */
  first: Op | null;
  calls: Call[];
  /** Of several calls of the module, which one it is. */
  use: number;
  uses: number;
  /** Directly in it, not in one of its own calls. */
  ops: number[];
  size: number;
}

export interface Calls {
  top: Call;
  /** The innermost call of each op. */
  of: Call[];
  byKey: Map<string, Call>;
}

const COMFORTABLE = 48; // nodes that a first view may have

export function callsOf({ ops, modules }: Pick<Trace, "ops" | "modules">): Calls {
  const top: Call = { key: "", path: "", label: "", kind: "", parent: null, first: null, calls: [], ops: [], size: 0, use: 1, uses: 1 };
  const of: Call[] = new Array(ops.length).fill(top) as Call[];
  const byKey = new Map<string, Call>(); // all but the top, which is always open
  let current = top;
  for (const op of ops) {
    if (isInput(op)) continue;
    const within = (call: Call): boolean =>
      call === top || op.path === call.path || op.path.startsWith(`${call.path}.`);
    while (!within(current)) current = current.parent as Call;
    const over = ancestors(current).find((call) => call !== top && begunAgain(call, op, ops));
    if (over !== undefined) current = over.parent as Call;
    const rest = current === top ? op.path : op.path.slice(current.path.length + 1);
    for (const part of rest ? rest.split(".") : []) {
      const path = current === top ? part : `${current.path}.${part}`;
      const kind = Object.hasOwn(modules, path) ? (modules[path] as string) : "";
      const key = `${path}@${op.id}`;
      const call: Call = { key, path, label: part, kind, parent: current, first: op, calls: [], ops: [], size: 0, use: 1, uses: 1 };
      current.calls.push(call);
      byKey.set(call.key, call);
      current = call;
    }
    of[op.id] = current;
  }
  placeInputs(ops, of, top);
  for (const op of ops) {
    const call = of[op.id] as Call;
    call.ops.push(op.id);
    for (let c: Call | null = call; c !== null; c = c.parent) c.size++;
  }
  const byPath = new Map<string, Call[]>();
  for (const call of byKey.values()) byPath.set(call.path, [...(byPath.get(call.path) ?? []), call]);
  for (const same of byPath.values()) same.forEach((call, i) => Object.assign(call, { use: i + 1, uses: same.length }));
  return { top, of, byKey };
}

/** Whether a module is called once more, right after its call: its first operation comes again, with nothing from that call. */
function begunAgain(call: Call, op: Op, ops: Op[]): boolean {
  const first = call.first as Op;
  if (op.path !== first.path || op.kind !== first.kind) return false;
  for (let id = op.id; id < ops.length; id++) {
    const later = ops[id] as Op;
    if (isInput(later)) continue;
    if (later.path !== call.path && !later.path.startsWith(`${call.path}.`)) break;
    for (const input of later.inputs)
      if (input !== null && input >= first.id && input < op.id && !isInput(ops[input] as Op)) return false;
  }
  return true;
}

export const isInput = (op: Op): boolean => op.kind === "leaf" || op.kind === "constant";

/** A weight belongs to the innermost call that holds all who use it; a variable of the user's, to no module. */
function placeInputs(ops: Op[], of: Call[], top: Call): void {
  const home = new Map<number, Call>();
  for (const op of ops)
    for (const input of op.inputs) {
      if (input === null || !isInput(ops[input] as Op)) continue;
      const call = of[op.id] as Call;
      const sofar = home.get(input);
      home.set(input, sofar === undefined ? call : common(sofar, call));
    }
  const outside = (op: Op): boolean => op.name !== null && !op.path;
  for (const op of ops) if (isInput(op)) of[op.id] = outside(op) ? top : (home.get(op.id) ?? top);
}

/** "0 Linear": a name and a class. */
export const called = (name: string, call: Call): string => (call.kind ? `${name} ${call.kind}` : name);

/** "use 2 of 3", of a module that is called more than once. */
export const useOf = ({ use, uses }: Call): string => (uses > 1 ? `use ${use} of ${uses}` : "");

/** The same, unless a module around it says it already. */
export const newUse = (call: Call): string => (call.uses > (call.parent?.uses ?? 1) ? useOf(call) : "");

export function ancestors(call: Call): Call[] {
  const line: Call[] = [];
  for (let c: Call | null = call; c !== null; c = c.parent) line.unshift(c);
  return line;
}

function common(a: Call, b: Call): Call {
  const others = new Set(ancestors(b));
  let c = a;
  while (!others.has(c)) c = c.parent as Call;
  return c;
}

/** The closed call that stands for an op in the picture, or null where the op itself is shown. */
export function hiddenIn(call: Call, opened: ReadonlySet<string>): Call | null {
  return ancestors(call).find((c) => c.parent !== null && !opened.has(c.key)) ?? null;
}

/** Level by level, as far as the picture stays one that can be taken in. */
export function openedAtFirst({ top }: Calls): Set<string> {
  const opened = new Set<string>();
  let level = top.calls;
  let shown = top.ops.length + level.length;
  while (level.length) {
    const more = level.reduce((n, c) => n + c.ops.length + c.calls.length - 1, 0);
    if (shown + more > COMFORTABLE) break;
    for (const call of level) opened.add(call.key);
    shown += more;
    level = level.flatMap((c) => c.calls);
  }
  return opened;
}
