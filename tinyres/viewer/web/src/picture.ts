// What a picture of the graph consists of: nodes at their places, and the edges between them.

import type { Call } from "./modules";

export interface Point {
  x: number;
  y: number;
}

export interface Node extends Point {
  key: string;
  kind: "op" | "leaf" | "constant" | "module";
  title: string;
  note: string;
  full: string;
  ops: number[];
  call: Call;
  width: number;
  height: number;
}

export interface Edge {
  from: Node;
  to: Node;
  role: string | null;
  /** How many residual streams run along here: more than one between hyper-connections. */
  streams: number;
  /** (consumer, argument) of every edge that runs along here. */
  routes: [number, number][];
  points: Point[];
}

export interface Picture {
  nodes: Node[];
  edges: Edge[];
  of: Map<number, Node>;
  width: number;
  height: number;
}
