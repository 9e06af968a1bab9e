// Where nodes and edges go: dagre, one piece of a long graph after the other.
//
// dagre's time grows faster than the graph, and its recursion goes as deep as the graph is long. A net of thousands of
// layers is therefore cut where few edges cross, best where only one does; each piece is laid out by itself and hung
// below the one before it. What crosses a cut is drawn past the pieces.

import { Graph, layout } from "@dagrejs/dagre";

import { box, grown, joined, overlap, padded, type Box } from "./frames";
import type { Edge, Node, Point } from "./picture";
import type { Call } from "./modules";
import { straight } from "./straight";

const MARGIN = 34;
const LARGEST = 300; // nodes that are laid out in one piece
const PIECE = { least: 30, most: 120 };
const GAP = 38;
const FAINT = 0.01; // the weight of an edge that should not pull; with 0, dagre's order becomes NaN
const FRAMED = new Set(["Residual", "HyperConnections", "Highway"]); // modules whose frame must not be missing

/** Sets x and y of the nodes (sources first) and the points of the edges, with straight lines; returns the picture's size. */
export function place(nodes: Node[], edges: Edge[], lines: Node[][]): { width: number; height: number } {
  const pieceOf = new Map<Node, number>();
  const pieces = cut(nodes, edges);
  pieces.forEach((piece, i) => {
    for (const node of piece) pieceOf.set(node, i);
  });
  const inner: Edge[][] = pieces.map(() => []);
  const crossing: Edge[] = [];
  for (const edge of edges) {
    const piece = pieceOf.get(edge.from) as number;
    if (piece === pieceOf.get(edge.to)) (inner[piece] as Edge[]).push(edge);
    else crossing.push(edge);
  }
  const next = new Map(lines.flatMap((line) => line.map((node, i) => [node, line[i + 1]] as const)));
  let top = 0;
  pieces.forEach((piece, i) => {
    const height = arrange(piece, inner[i] as Edge[], lines.flatMap((line) => within(line, (n) => pieceOf.get(n) === i)));
    const between = crossing.filter((e) => pieceOf.get(e.from) === i - 1 && pieceOf.get(e.to) === i);
    const hanging = between.find((e) => next.get(e.from) === e.to) ?? between[0];
    move(piece, inner[i] as Edge[], hanging ? hanging.from.x - hanging.to.x : 0, top);
    top += height + GAP;
  });
  const right = Math.max(...nodes.map((n) => n.x + n.width / 2));
  for (const edge of crossing)
    edge.points = past(edge, right, (pieceOf.get(edge.to) as number) - (pieceOf.get(edge.from) as number) === 1);
  const xs = [
    ...nodes.flatMap((n) => [n.x - n.width / 2, n.x + n.width / 2]),
    ...edges.flatMap((e) => e.points.map((p) => p.x)),
  ];
  const [low, high] = xs.reduce(([a, b], x) => [Math.min(a, x), Math.max(b, x)], [Infinity, -Infinity] as [
    number,
    number,
  ]);
  move(nodes, edges, MARGIN - low, 2 * MARGIN);
  return { width: high - low + 2 * MARGIN, height: top - GAP + 3 * MARGIN };
}

/** The runs of a line's nodes in one piece. */
function within(line: Node[], inside: (node: Node) => boolean): Node[][] {
  const runs: Node[][] = [[]];
  for (const node of line)
    if (inside(node)) runs.at(-1)?.push(node);
    else if (runs.at(-1)?.length) runs.push([]);
  return runs.filter((run) => run.length > 1);
}

function cut(nodes: Node[], edges: Edge[]): Node[][] {
  if (nodes.length <= LARGEST) return [nodes];
  const at = new Map(nodes.map((node, i) => [node, i]));
  const change: number[] = new Array(nodes.length + 1).fill(0) as number[];
  for (const { from, to } of edges) {
    (change[(at.get(from) as number) + 1] as number)++;
    (change[(at.get(to) as number) + 1] as number)--;
  }
  let across = 0;
  const crossings = change.map((c) => (across += c)); // edges that a cut before node i would cross
  const pieces: Node[][] = [];
  let start = 0;
  while (nodes.length - start > PIECE.most) {
    let best = start + PIECE.least;
    for (let i = best; i <= start + PIECE.most; i++)
      if ((crossings[i] as number) <= (crossings[best] as number)) best = i;
    pieces.push(nodes.slice(start, best));
    start = best;
  }
  pieces.push(nodes.slice(start));
  return pieces;
}

interface Arrangement {
  places: Point[];
  lines: Point[][];
  height: number;
}

/** Deep nets repeat themselves: a piece of the same shape is laid out once. */
const arranged = new Map<string, Arrangement>();

function arrange(nodes: Node[], edges: Edge[], lines: Node[][]): number {
  const at = new Map(nodes.map((node, i) => [node, i]));
  const groups = groupsOf(nodes);
  const known = new Map([...groups.keys()].map((call, i) => [call, i]));
  const shape = [
    nodes.map((n) => [n.width, ...opened(n).map((call) => known.get(call))]),
    edges.map(({ from, to }) => [at.get(from), at.get(to)]),
    lines.map((line) => line.map((node) => at.get(node))),
  ];
  const key = JSON.stringify(shape);
  let found = arranged.get(key);
  if (found === undefined) {
    const spaced = (frames: number): Arrangement => spread(laidOut(nodes, edges, lines, frames), nodes, groups);
    found = spaced(0);
    for (const frames of [1, Infinity]) if (!framed(nodes, groups, found.places)) found = spaced(frames);
    arranged.set(key, found);
  }
  nodes.forEach((node, i) => Object.assign(node, found.places[i]));
  edges.forEach((edge, i) => (edge.points = (found.lines[i] as Point[]).map((p) => ({ ...p }))));
  return found.height;
}

/** The open calls in which a node lies, the innermost first. */
export function opened(node: Node): Call[] {
  const line: Call[] = [];
  for (let c: Call | null = node.kind === "module" ? node.call.parent : node.call; c?.parent; c = c.parent) line.push(c);
  return line;
}

function groupsOf(nodes: Node[]): Map<Call, Set<Node>> {
  const groups = new Map<Call, Set<Node>>();
  for (const node of nodes)
    for (const call of opened(node)) groups.set(call, (groups.get(call) ?? new Set()).add(node));
  return groups;
}

/**
 * Pairs (what a module is applied to, a weight in that open module): the weight goes below it, into the frame. Nodes come
 * sources first.
 */
function below(nodes: Node[], edges: Edge[]): [Node, Node][] {
  const inputs = new Map<Node, Node[]>();
  for (const { from, to } of edges) inputs.set(to, [...(inputs.get(to) ?? []), from]);
  const weights = new Map<Node, Node>(); // a weight, and what is computed from it alone, as a part of it is
  const pairs = new Map<Node, Set<Node>>();
  for (const node of nodes) {
    const sources = inputs.get(node) ?? [];
    const own = new Set(sources.flatMap((source) => weights.get(source) ?? []));
    const [only] = sources.length ? own : opened(node).length ? [node] : []; // outside all modules it is data
    if (only !== undefined && own.size <= 1 && sources.every((source) => weights.has(source))) {
      weights.set(node, only);
      continue;
    }
    for (const weight of own) {
      const home = opened(weight)[0];
      if (home === undefined || !opened(node).includes(home)) continue;
      for (const source of sources)
        if (!weights.has(source) && !opened(source).includes(home))
          pairs.set(weight, (pairs.get(weight) ?? new Set()).add(source));
    }
  }
  return [...pairs].flatMap(([weight, above]) => [...above].map((node): [Node, Node] => [node, weight]));
}

/** Pairs (a leaf, a node): a leaf of others that is used in a block stays above all of the block, out of its frame. */
function above(edges: Edge[], groups: Map<Call, Set<Node>>): [Node, Node][] {
  const inputs = new Map<Node, Node[]>();
  for (const { from, to } of edges) inputs.set(to, [...(inputs.get(to) ?? []), from]);
  return [...groups].flatMap(([call, members]) => {
    if (!FRAMED.has(call.kind)) return [];
    const used = edges.filter(({ from, to }) => members.has(to) && !members.has(from) && !inputs.has(from));
    const first = [...members].filter((node) => !inputs.get(node)?.some((source) => members.has(source)));
    return [...new Set(used.map(({ from }) => from))].flatMap((leaf) => first.map((node): [Node, Node] => [leaf, node]));
  });
}

/** Lower what lies below the top of a frame, or below its end, until there is room for the frame and its label. */
function spread(found: Arrangement, nodes: Node[], groups: Map<Call, Set<Node>>): Arrangement {
  const y = new Map(nodes.map((node, i) => [node, (found.places[i] as Point).y]));
  const rows = [...new Set(y.values())].sort((a, b) => a - b);
  const room = new Map<number, { above: number; below: number }>(rows.map((row) => [row, { above: 0, below: 0 }]));
  for (const [call, members] of groups) {
    const pad = padded(call, [...members]);
    const ys = [...members].map((node) => y.get(node) as number);
    const [first, last] = [room.get(Math.min(...ys)), room.get(Math.max(...ys))];
    if (first !== undefined) first.above = Math.max(first.above, pad.above);
    if (last !== undefined) last.below = Math.max(last.below, pad.side);
  }
  const tall = Math.max(...nodes.map((node) => node.height));
  let down = 0;
  const shifts = rows.map((row, i) => {
    const [before, here] = [room.get(rows[i - 1] ?? NaN)?.below ?? 0, room.get(row)?.above ?? 0];
    return (down += i === 0 || before + here === 0 ? 0 : Math.max(0, before + here + 10 - GAP));
  });
  const lowered = (p: Point): Point => {
    const above = rows.findLastIndex((row) => row <= p.y);
    const [from, to] = [(rows[above] ?? p.y) + tall / 2, (rows[above + 1] ?? Infinity) - tall / 2]; // between nodes
    const [s, t] = [shifts[above] ?? 0, shifts[above + 1] ?? 0];
    const way = to === Infinity ? 0 : Math.min(1, Math.max(0, (p.y - from) / Math.max(1, to - from)));
    return { x: p.x, y: p.y + s + way * (t - s) };
  };
  return {
    places: found.places.map(lowered),
    lines: found.lines.map((line) => line.map(lowered)),
    height: found.height + down,
  };
}

/** Whether what calls for a frame can have one: a residual block, and each use of a net that is used repeatedly. */
function framed(nodes: Node[], groups: Map<Call, Set<Node>>, places: Point[]): boolean {
  const boxes = new Map(nodes.map((node, i) => [node, box([{ ...node, ...(places[i] as Point) }])]));
  const uses = new Map<string, number>();
  for (const { path, parent } of groups.keys()) if (!parent?.parent) uses.set(path, (uses.get(path) ?? 0) + 1);
  for (const [call, members] of groups) {
    if (members.size < 2 || (!FRAMED.has(call.kind) && (uses.get(call.path) ?? 0) < 2)) continue;
    const around = grown(joined([...members].map((n) => boxes.get(n) as Box)), padded(call, [...members]));
    for (const node of nodes) if (!members.has(node) && overlap(around, boxes.get(node) as Box)) return false;
  }
  return true;
}

/**
 * Flat, or with the nodes of an open call kept together: that takes longer and makes longer edges, so it is for graphs
 * where calls would lie in each other's way, as those of a net that several losses use.
 */
function laidOut(nodes: Node[], edges: Edge[], lines: Node[][], frames: number): Arrangement {
  const together = frames > 0;
  const graph = new Graph({ directed: true, compound: together });
  graph.setGraph({ rankdir: "TB", nodesep: together ? 48 : 22, edgesep: 12, ranksep: together ? GAP / 2 : GAP });
  for (const { key, width, height } of nodes) graph.setNode(key, { width, height });
  if (together)
    for (const node of nodes) {
      const line = opened(node).slice(-frames).map((call) => `frame ${call.key}`);
      [node.key, ...line].forEach((key, i) => {
        const parent = line[i];
        if (parent === undefined) return;
        if (!graph.hasNode(parent)) graph.setNode(parent, {});
        graph.setParent(key, parent);
      });
    }
  for (const edge of edges) graph.setEdge(edge.from.key, edge.to.key, {});
  if (frames < Infinity)
    for (const [from, to] of [...below(nodes, edges), ...above(edges, groupsOf(nodes))])
      if (!graph.hasEdge(from.key, to.key)) graph.setEdge(from.key, to.key, { weight: FAINT });
  layout(graph, straight(lines, nodes, edges));
  return {
    places: nodes.map(({ key }) => {
      const { x, y } = graph.node(key) as Point;
      return { x, y };
    }),
    lines: edges.map(({ from, to }) => (graph.edge(from.key, to.key) as { points: Point[] }).points),
    height: (graph.graph() as { height: number }).height,
  };
}

function move(nodes: Node[], edges: Edge[], dx: number, dy: number): void {
  for (const point of [...nodes, ...edges.flatMap((e) => e.points)]) {
    point.x += dx;
    point.y += dy;
  }
}

/** From below one node to above another: straight to the next piece, along the side to those beyond. */
function past({ from, to }: Edge, right: number, next: boolean): Point[] {
  const start = { x: from.x, y: from.y + from.height / 2 };
  const end = { x: to.x, y: to.y - to.height / 2 };
  if (next) return [start, { x: start.x, y: start.y + GAP / 2 }, { x: end.x, y: end.y - GAP / 2 }, end];
  const side = right + 30;
  return [start, { x: side, y: start.y + GAP }, { x: side, y: end.y - GAP }, end];
}
