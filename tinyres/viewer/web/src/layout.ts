// From what is open to a picture: which nodes and edges there are, and what they say.

import type { Op } from "./data";
import { called, hiddenIn, isInput, newUse, type Call, type Calls } from "./modules";
import type { Edge, Node, Picture } from "./picture";
import { place } from "./place";
import type { Replay } from "./replay";
import { linesOf, streamsOf } from "./streams";
import { nameOf, shapeText } from "./text";

const HEIGHT = 40;
const LONGEST = 30;

export function picture(ops: Op[], calls: Calls, opened: ReadonlySet<string>, replay: Replay): Picture {
  const { nodes, of } = visible(ops, calls, opened);
  const edges = joined(ops, of, replay, calls);
  const order = sorted(nodes, edges, ops);
  return { nodes: order, edges, of, ...place(order, edges, linesOf(streamsOf(ops), of, edges)) };
}

/** Sources first; a weight right before the first that uses it. */
function sorted(nodes: Node[], edges: Edge[], ops: Op[]): Node[] {
  const inputs = new Map<Node, Node[]>();
  for (const { from, to } of edges) inputs.set(to, [...(inputs.get(to) ?? []), from]);
  const input = (node: Node): boolean => node.kind === "leaf" || node.kind === "constant";
  const first = (node: Node): number => node.ops.find((id) => !isInput(ops[id] as Op)) ?? ops.length;
  const order = new Set<Node>();
  for (const node of nodes.filter((n) => !input(n)).sort((a, b) => first(a) - first(b))) {
    for (const source of inputs.get(node) ?? []) if (input(source)) order.add(source);
    order.add(node);
  }
  for (const node of nodes) order.add(node);
  return [...order];
}

function visible(ops: Op[], calls: Calls, opened: ReadonlySet<string>): { nodes: Node[]; of: Map<number, Node> } {
  const nodes: Node[] = [];
  const of = new Map<number, Node>();
  const modules = new Map<string, Node>();
  const shared = sharedWeights(ops, calls, opened);
  for (const op of ops) {
    const home = calls.of[op.id] as Call;
    const call = hiddenIn(home, opened);
    const weights = shared.get(op.id);
    const key = call?.key ?? weights?.path;
    let node = key === undefined ? undefined : modules.get(key);
    if (node === undefined) {
      if (call !== null) node = moduleNode(call, ops);
      else if (weights) node = sharedNode(op, weights, home);
      else node = opNode(op, home);
      if (key !== undefined) modules.set(key, node);
      nodes.push(node);
    }
    node.ops.push(op.id);
    of.set(op.id, node);
  }
  return { nodes, of };
}

interface Weights {
  path: string;
  count: number;
}

function sharedNode(op: Op, { path, count }: Weights, call: Call): Node {
  return box(`o${op.id}`, "leaf", `${path}: ${count} weights`, "shared", `${count} weights of ${path}`, call);
}

/** Weights that several uses of a closed module share stand together: a GAN's discriminator has three uses. */
function sharedWeights(ops: Op[], calls: Calls, opened: ReadonlySet<string>): Map<number, Weights> {
  const users = new Map<number, Set<Call | null>>();
  for (const op of ops)
    for (const input of op.inputs)
      if (input !== null && ops[input]?.kind === "leaf")
        users.set(input, (users.get(input) ?? new Set()).add(hiddenIn(calls.of[op.id] as Call, opened)));
  const found = new Map<number, Weights>();
  const byPath = new Map<string, Weights>();
  for (const [leaf, uses] of users) {
    const [first] = uses;
    if (!first || uses.size < 2 || [...uses].some((use) => use?.path !== first.path)) continue;
    const weights = byPath.get(first.path) ?? { path: first.path, count: 0 };
    weights.count++;
    byPath.set(first.path, weights);
    found.set(leaf, weights);
  }
  return new Map([...found].filter(([, { count }]) => count > 1));
}

function opNode(op: Op, call: Call): Node {
  const inside =
    op.name !== null && call.path && op.name.startsWith(`${call.path}.`)
      ? op.name.slice(call.path.length + 1)
      : op.name;
  const kind = isInput(op) ? (op.kind as "leaf" | "constant") : "op";
  return box(`o${op.id}`, kind, inside ?? nameOf(op), shapeText(op.shape), nameOf(op), call);
}

function moduleNode(call: Call, ops: Op[]): Node {
  const inner = call.calls.length || call.ops.filter((id) => !isInput(ops[id] as Op)).length !== 1;
  const only = call.ops.find((id) => !isInput(ops[id] as Op));
  const note = inner || only === undefined ? `${call.size} nodes` : (ops[only] as Op).kind;
  const line: string[] = [];
  for (let c: Call = call; c.parent !== null; c = c.parent) line.unshift(c.label);
  const title = called(line.slice(-2).join("."), call);
  return box(call.key, "module", title, [note, newUse(call)].filter(Boolean).join(", "), called(call.path, call), call);
}

function box(key: string, kind: Node["kind"], title: string, note: string, full: string, call: Call): Node {
  const shown = title.length > LONGEST ? `…${title.slice(1 - LONGEST)}` : title;
  const room = Math.max(
    textWidth(shown, "600 13px") + (kind === "module" ? 18 : 0),
    textWidth(kind === "module" ? note : `${note}  ‖g‖ 0.0001234`, "11px"), // a module has no norm of its own
  );
  return {
    key,
    kind,
    title: shown,
    note,
    full,
    ops: [],
    call,
    x: 0,
    y: 0,
    width: 12 * Math.ceil((room + 22) / 12),
    height: HEIGHT,
  };
}

let context: CanvasRenderingContext2D | null = null;
const widths = new Map<string, number>();

function textWidth(text: string, font: string): number {
  const key = `${font} ${text}`;
  let width = widths.get(key);
  if (width === undefined) {
    context ??= document.createElement("canvas").getContext("2d");
    if (context !== null) context.font = `${font} system-ui, sans-serif`;
    width = context?.measureText(text).width ?? text.length * 8;
    widths.set(key, width);
  }
  return width;
}

function joined(ops: Op[], of: Map<number, Node>, replay: Replay, calls: Calls): Edge[] {
  const found = new Map<string, Edge>();
  for (const op of ops)
    op.inputs.forEach((input, arg) => {
      const [from, to] = [input === null ? undefined : of.get(input), of.get(op.id) as Node];
      if (from === undefined || from === to) return;
      const role = replay.role(op, arg);
      const key = `${from.key} ${to.key}`;
      const edge = found.get(key);
      const streams = streamsInto(op, ops[input as number] as Op, calls);
      if (edge === undefined) found.set(key, { from, to, role, streams, routes: [[op.id, arg]], points: [] });
      else {
        edge.routes.push([op.id, arg]);
        edge.streams = Math.max(edge.streams, streams);
        if (edge.role !== role) edge.role = null; // both routes of a closed block
      }
    });
  return [...found.values()];
}

const MIXED = new Set(["HyperConnections", "Mixing"]); // the sum, and M X

/** How many streams, X of (..., n, E), go into an operation of a hyper-connection that gives as many. */
function streamsInto(op: Op, input: Op, calls: Calls): number {
  const alike = MIXED.has((calls.of[op.id] as Call).kind) && String(op.shape) === String(input.shape);
  return alike && !isInput(input) ? (input.shape.at(-2) ?? 1) : 1;
}
