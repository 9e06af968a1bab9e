// What makes dagre draw lines straight, with all that hangs on a line on its right.

import type { LayoutOptions } from "@dagrejs/dagre";

import type { Edge, Node } from "./picture";

type Ordered = Parameters<NonNullable<LayoutOptions["customOrder"]>>[0];

/**
 * dagre keeps the nodes of its `corePath` below each other where nothing is in their way. So in every rank, a line goes
 * to the left end of what hangs on it; the weights of its own nodes come next. Frames stay together.
 */
export function straight(lines: Node[][], nodes: Node[], edges: Edge[]): LayoutOptions {
  if (lines.length === 0) return {};
  const groups = lines.map((line) => group(line, nodes, edges));
  return {
    corePath: lines.flatMap((line) => ["", ...line.map((node) => node.key)]), // one line ends before the next begins
    customOrder: (graph, order) => {
      order(graph);
      const ranks: string[][] = [];
      for (const v of graph.nodes()) {
        const { rank, order: place } = graph.node(v);
        if (rank !== undefined && place !== undefined) (ranks[rank] ??= [])[place] = v;
      }
      for (let rank of ranks) {
        for (const one of groups) rank = sorted(rank, one, graph, 0);
        rank.forEach((v, place) => (graph.node(v).order = place));
      }
    },
  };
}

/** One rank, or the part of it that is in one frame, `depth` frames deep. */
function sorted(rank: string[], one: Group, graph: Ordered, depth: number): string[] {
  const units: { frame: string | null; kind: number; inner: string[] }[] = [];
  for (const v of rank) {
    const frame = framesOf(v, graph)[depth] ?? null;
    const [last, kind] = [units.at(-1), kindOf(v, one, graph)];
    if (frame === null || last?.frame !== frame) units.push({ frame, kind, inner: [v] });
    else {
      last.inner.push(v);
      last.kind = Math.min(last.kind, kind);
    }
  }
  const moved = units.filter((unit) => unit.kind < Infinity).sort((a, b) => a.kind - b.kind).values();
  return units
    .map((unit) => (unit.kind < Infinity ? (moved.next().value as typeof unit) : unit))
    .flatMap(({ frame, inner }) => (frame === null ? inner : sorted(inner, one, graph, depth + 1)));
}

/** The outermost first. */
function framesOf(v: string, graph: Ordered): string[] {
  const line: string[] = [];
  for (let frame = graph.parent(v); typeof frame === "string"; frame = graph.parent(frame)) line.unshift(frame);
  return line;
}

/** 0 for the line, 1 for its weights, 2 for what else hangs on it, infinity for what has nothing to do with it. */
function kindOf(v: string, { next, hanging, weights }: Group, graph: Ordered): number {
  const edge = graph.node(v).edgeObj; // of what stands for a part of an edge
  if (!hanging.has(edge?.v ?? v) || !hanging.has(edge?.w ?? v)) return Infinity;
  if (edge === undefined ? next.has(v) : next.get(edge.v) === edge.w) return 0;
  return weights.has(edge?.v ?? v) && (edge === undefined || next.has(edge.w)) ? 1 : 2;
}

interface Group {
  /** The node that follows on the line. */
  next: Map<string, string>;
  /** What leaves the line and comes back to it, and what nothing else uses; the line itself as well. */
  hanging: Set<string>;
  /** Of the line's nodes. */
  weights: Set<string>;
}

/** Nodes come sources first. */
function group(line: Node[], nodes: Node[], edges: Edge[]): Group {
  const [outputs, inputs] = [new Map<Node, Node[]>(), new Map<Node, Node[]>()];
  for (const { from, to } of edges) {
    outputs.set(from, [...(outputs.get(from) ?? []), to]);
    inputs.set(to, [...(inputs.get(to) ?? []), from]);
  }
  const after = new Set([line[0] as Node]);
  for (const node of nodes) if (inputs.get(node)?.some((source) => after.has(source))) after.add(node);
  const before = new Set([line.at(-1) as Node]);
  const hanging = new Set(line);
  for (const node of nodes.toReversed()) {
    const to = outputs.get(node) ?? [];
    if (to.some((consumer) => before.has(consumer))) before.add(node);
    const own = to.length > 0 && to.every((consumer) => hanging.has(consumer));
    if (own || (before.has(node) && after.has(node))) hanging.add(node);
  }
  const keys = (of: Iterable<Node>): Set<string> => new Set([...of].map((node) => node.key));
  return {
    next: new Map(line.map((node, i) => [node.key, line[i + 1]?.key ?? ""])),
    hanging: keys(hanging),
    weights: keys(edges.filter(({ from, to }) => !inputs.has(from) && line.includes(to)).map(({ from }) => from)),
  };
}
