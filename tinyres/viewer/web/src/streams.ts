// Residual streams: the lines that skip connections make from sum to sum. The picture draws each as a straight line.

import type { Op } from "./data";
import type { Edge, Node } from "./picture";
import { isInput } from "./modules";

/** The operations on each stream, in the order of the forward pass; the outer of two streams comes first. */
export function streamsOf(ops: Op[]): number[][] {
  const taken = new Set<number>();
  const free = (id: number | null): id is number => id !== null && !taken.has(id);
  const consumers = ops.map((): Set<number> => new Set());
  for (const op of ops) for (const input of op.inputs) if (input !== null) consumers[input]?.add(op.id);
  const found: number[][] = [];
  for (const last of ops.toReversed()) {
    if (!last.roles?.includes("skip") || taken.has(last.id)) continue;
    const line: number[] = [];
    for (let id: number | null = last.id; free(id); id = before(ops[id] as Op, ops)) {
      line.unshift(id);
      taken.add(id);
    }
    for (let next = consumers[last.id]; next?.size === 1; ) {
      const [id] = next as unknown as [number];
      if (!free(id)) break;
      line.push(id);
      taken.add(id);
      next = consumers[id];
    }
    found.push(line);
  }
  return found;
}

/** Where a stream comes from: a sum's skip connection, and else what an operation works on, rather than a weight. */
function before(op: Op, ops: Op[]): number | null {
  const skip = op.roles?.indexOf("skip") ?? -1;
  if (skip >= 0) return op.inputs[skip] ?? null;
  const sources = op.inputs.filter((id): id is number => id !== null && !isInput(ops[id] as Op));
  const alike = sources.find((id) => String((ops[id] as Op).shape) === String(op.shape));
  return alike ?? sources[0] ?? null;
}

/** The same lines in a picture, where an operation may be hidden in a module: runs of nodes that edges join. */
export function linesOf(streams: number[][], of: Map<number, Node>, edges: Edge[]): Node[][] {
  const joined = new Map<Node, Set<Node>>();
  for (const { from, to } of edges) joined.set(from, (joined.get(from) ?? new Set()).add(to));
  const taken = new Set<Node>();
  return streams.flatMap((stream) => {
    const runs: Node[][] = [];
    let last: Node | null = null;
    for (const id of stream) {
      const node = of.get(id) as Node;
      if (node === last || taken.has(node)) continue;
      taken.add(node);
      if (last !== null && joined.get(last)?.has(node)) runs.at(-1)?.push(node);
      else runs.push([node]);
      last = node;
    }
    return runs.filter((run) => run.length > 1);
  });
}
