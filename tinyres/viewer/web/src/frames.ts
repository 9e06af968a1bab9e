// The frames around open modules: how much room they need, and whether something else lies in it.

import type { Node } from "./picture";
import type { Call } from "./modules";

export interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** The smallest box around nodes. */
export const box = (nodes: Pick<Node, "x" | "y" | "width" | "height">[]): Box =>
  joined(
    nodes.map((n) => ({
      left: n.x - n.width / 2,
      right: n.x + n.width / 2,
      top: n.y - n.height / 2,
      bottom: n.y + n.height / 2,
    })),
  );

export const joined = (boxes: Box[]): Box => ({
  left: Math.min(...boxes.map((b) => b.left)),
  right: Math.max(...boxes.map((b) => b.right)),
  top: Math.min(...boxes.map((b) => b.top)),
  bottom: Math.max(...boxes.map((b) => b.bottom)),
});

export const grown = (b: Box, by: { side: number; above: number }): Box => ({
  left: b.left - by.side,
  right: b.right + by.side,
  top: b.top - by.above,
  bottom: b.bottom + by.side,
});

export const overlap = (a: Box, b: Box): boolean =>
  a.left <= b.right && a.right >= b.left && a.top <= b.bottom && a.bottom >= b.top;

/** What a call's frame adds around its nodes: room for its label, and for the frames within it. */
export function padded(call: Call, members: Node[]): { side: number; above: number } {
  const within = Math.max(depth(call), ...members.map((n) => depth(n.call))) - depth(call);
  const levels = Math.min(6, within);
  return { side: 8 + 5 * levels, above: 19 + 15 * levels };
}

function depth(call: Call): number {
  return call.parent === null ? 0 : 1 + depth(call.parent);
}
