// Where nodes and edges go: dagre, one piece of a long graph after the other.
//
// dagre's time grows faster than the graph, and its recursion goes as deep as the graph is long. A net of thousands of
// layers is therefore cut where few edges cross, best where only one does; each piece is laid out by itself and hung
// below the one before it. What crosses a cut is drawn past the pieces.

import { Graph, layout } from "@dagrejs/dagre";

import type { Edge, Node, Point } from "./layout";

const MARGIN = 34;
const LARGEST = 300; // nodes that are laid out in one piece
const PIECE = { least: 30, most: 120 };
const GAP = 38;

/** Sets x and y of the nodes (sources first) and the points of the edges; returns the size of the picture. */
export function place(nodes: Node[], edges: Edge[]): { width: number; height: number } {
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
  let top = 0;
  pieces.forEach((piece, i) => {
    const height = arrange(piece, inner[i] as Edge[]);
    const hanging = crossing.find((e) => pieceOf.get(e.from) === i - 1 && pieceOf.get(e.to) === i);
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

function arrange(nodes: Node[], edges: Edge[]): number {
  const at = new Map(nodes.map((node, i) => [node, i]));
  const shape = [nodes.map((n) => n.width), edges.map(({ from, to }) => [at.get(from), at.get(to)])];
  const key = JSON.stringify(shape);
  let found = arranged.get(key);
  if (found === undefined) arranged.set(key, (found = laidOut(nodes, edges)));
  nodes.forEach((node, i) => Object.assign(node, found.places[i]));
  edges.forEach((edge, i) => (edge.points = (found.lines[i] as Point[]).map((p) => ({ ...p }))));
  return found.height;
}

function laidOut(nodes: Node[], edges: Edge[]): Arrangement {
  const graph = new Graph({ directed: true });
  graph.setGraph({ rankdir: "TB", nodesep: 22, edgesep: 12, ranksep: GAP });
  for (const { key, width, height } of nodes) graph.setNode(key, { width, height });
  for (const edge of edges) graph.setEdge(edge.from.key, edge.to.key, {});
  layout(graph);
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
