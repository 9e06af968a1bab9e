// One element of a contribution, written out with its numbers. Shown only where it gives what the trace holds.

import { placeOf, viewOf, type View } from "./arrays";
import type { Event, Op, Trace } from "./data";
import type { Replay } from "./replay";
import { number } from "./text";

interface Term {
  text: string;
  value: number;
}

/** Values at one element: the cotangent, the output and the inputs by name. */
type At = (name: string) => number;
type Local = (at: At, op: Op) => Term | null;

const n = (v: number): string => (v < 0 ? `(${number(v)})` : number(v));
const product = (...factors: number[]): Term => ({
  text: factors.map(n).join(" · "),
  value: factors.reduce((a, b) => a * b, 1),
});
const passed: Local = (at) => ({ text: number(at("g")), value: at("g") });
const times =
  (...names: string[]): Local =>
  (at) =>
    product(...names.map(at));
const gate = (open: boolean, g: number, why: string): Term =>
  open ? { text: `${number(g)}  (${why})`, value: g } : { text: `0  (${why})`, value: 0 };

const LOCAL: Record<string, Local> = {
  "add.a": passed,
  "add.b": passed,
  "sub.a": passed,
  "sub.b": (at) => ({ text: `−${n(at("g"))}`, value: -at("g") }),
  "neg.x": (at) => ({ text: `−${n(at("g"))}`, value: -at("g") }),
  "identity.x": passed,
  "astype.x": passed,
  "expand.x": passed,
  "mul.a": times("g", "b"),
  "mul.b": times("g", "a"),
  "exp.x": times("g", "y"),
  "div.a": (at) => ({ text: `${n(at("g"))} / ${n(at("b"))}`, value: at("g") / at("b") }),
  "div.b": (at) => ({
    text: `−${n(at("g"))} · ${n(at("y"))} / ${n(at("b"))}`,
    value: (-at("g") * at("y")) / at("b"),
  }),
  "log.x": (at) => ({ text: `${n(at("g"))} / ${n(at("x"))}`, value: at("g") / at("x") }),
  "sqrt.x": (at) => ({ text: `${n(at("g"))} / (2 · ${n(at("y"))})`, value: at("g") / (2 * at("y")) }),
  "tanh.x": (at) => ({ text: `${n(at("g"))} · (1 − ${n(at("y"))}²)`, value: at("g") * (1 - at("y") ** 2) }),
  "sigmoid.x": (at) => ({
    text: `${n(at("g"))} · ${n(at("y"))} · (1 − ${n(at("y"))})`,
    value: at("g") * at("y") * (1 - at("y")),
  }),
  "relu.x": (at) => gate(at("y") > 0, at("g"), at("y") > 0 ? `as y = ${number(at("y"))} > 0` : "as y = 0"),
  "abs.x": (at) => product(at("g"), Math.sign(at("x"))),
  "power.x": (at, op) => {
    const p = Number(op.static["p"]);
    if (!Number.isFinite(p) || p === 0 || p === 1) return null;
    const slope = p === 2 ? `2 · ${n(at("x"))}` : `${n(p)} · ${n(at("x"))}^${n(p - 1)}`;
    return { text: `${n(at("g"))} · ${slope}`, value: at("g") * p * at("x") ** (p - 1) };
  },
};

const MOST = 4; // terms of a sum that are written out

/** "0.5 · 2 = 1" for one element, or null where the arrays are not whole or the rule is not one for elements. */
export function writtenOut(trace: Trace, replay: Replay, event: Event, step: number, element: number): string | null {
  if (event.consumer === null || event.contribution === null) return null;
  const op = trace.ops[event.consumer] as Op;
  const arg = op.args[event.arg] ?? "";
  const result = viewOf(trace, event.contribution);
  const held = result.whole?.[element];
  const cotangent = replay.gradient(event.lane as number, op.id, step);
  if (held === undefined || cotangent === null) return null;
  const g = viewOf(trace, cotangent);
  const valueOf = (name: string): View | null => {
    if (name === "g") return g;
    const index = name === "y" ? op.value : trace.ops[op.inputs[op.args.indexOf(name)] ?? -1]?.value;
    return index === null || index === undefined ? null : viewOf(trace, index);
  };
  const terms =
    op.kind === "matmul"
      ? matmulTerms(arg, result, valueOf, element)
      : op.kind === "linear"
        ? linearTerms(arg, result, valueOf, element)
        : op.kind === "sum"
        ? sumTerms(op, result, g, element)
        : localTerms(op, arg, result, g, valueOf, element);
  if (terms === null || terms.length === 0 || terms.some((t) => !Number.isFinite(t.value))) return null;
  const sum = terms.reduce((a, t) => a + t.value, 0);
  const scale = terms.reduce((a, t) => a + Math.abs(t.value), 0);
  if (Math.abs(sum - held) > 1e-4 * scale) return null;
  const written = terms.slice(0, MOST).map((t, i) => (i === 0 ? t.text : t.text.replace(/^−\S*/, "($&)")));
  if (terms.length > MOST) written.push(`… (${terms.length} terms)`);
  return `${written.join(" + ")} = ${number(held)}`;
}

/** Which element of a broadcast operand stands at a place of the whole. */
function flatIn(shape: number[], place: number[]): number {
  let flat = 0;
  const skipped = place.length - shape.length;
  shape.forEach((size, axis) => (flat = flat * size + (size === 1 ? 0 : (place[axis + skipped] as number))));
  return flat;
}

function localTerms(
  op: Op,
  arg: string,
  result: View,
  g: View,
  valueOf: (name: string) => View | null,
  element: number,
): Term[] | null {
  const local = LOCAL[`${op.kind}.${arg}`];
  if (local === undefined || g.whole === null) return null;
  const terms: Term[] = [];
  for (let i = 0; i < g.whole.length; i++) {
    const place = placeOf(g.shape, i);
    if (flatIn(result.shape, place) !== element) continue;
    const term = local((name) => {
      const view = valueOf(name);
      return view?.whole?.[flatIn(view.shape, place)] ?? NaN;
    }, op);
    if (term === null) return null;
    terms.push(term);
  }
  return terms;
}

function matmulTerms(
  arg: string,
  result: View,
  valueOf: (name: string) => View | null,
  element: number,
): Term[] | null {
  const [g, other] = [valueOf("g"), valueOf(arg === "x" ? "w" : "x")];
  if (!g?.whole || !other?.whole || g.shape.length !== 2 || other.shape.length !== 2 || result.shape.length !== 2)
    return null;
  const [rows, columns] = g.shape as [number, number];
  const [i, j] = placeOf(result.shape, element) as [number, number];
  const width = other.shape[1] as number;
  const terms: Term[] = [];
  // dx[i, j] = sum_k g[i, k] w[j, k];  dw[i, j] = sum_k x[k, i] g[k, j]
  if (arg === "x")
    for (let k = 0; k < columns; k++)
      terms.push(product(g.whole[i * columns + k] as number, other.whole[j * width + k] as number));
  else
    for (let k = 0; k < rows; k++)
      terms.push(product(other.whole[k * width + i] as number, g.whole[k * columns + j] as number));
  return terms;
}

/** dx[i, j] = sum_k g[i, k] w[k, j];  dw[i, j] = sum_k g[k, i] x[k, j];  db[i] = sum_k g[k, i] */
function linearTerms(
  arg: string,
  result: View,
  valueOf: (name: string) => View | null,
  element: number,
): Term[] | null {
  const g = valueOf("g");
  if (!g?.whole || g.shape.length !== 2) return null;
  const { whole } = g;
  const [rows, columns] = g.shape as [number, number];
  if (arg === "b")
    return Array.from({ length: rows }, (_, k) => {
      const value = whole[k * columns + element] as number;
      return { text: number(value), value };
    });
  const other = valueOf(arg === "x" ? "w" : "x");
  if (!other?.whole || other.shape.length !== 2 || result.shape.length !== 2) return null;
  const [i, j] = placeOf(result.shape, element) as [number, number];
  const width = other.shape[1] as number;
  return Array.from({ length: arg === "x" ? columns : rows }, (_, k) =>
    product(
      whole[arg === "x" ? i * columns + k : k * columns + i] as number,
      (other.whole as number[])[k * width + j] as number,
    ),
  );
}

/** Every summand receives the cotangent of its sum. */
function sumTerms(op: Op, result: View, g: View, element: number): Term[] | null {
  const axes = new Set((op.static["axis"] ?? "").match(/\d+/g)?.map(Number));
  if (g.whole === null) return null;
  const place = placeOf(result.shape, element);
  const kept =
    g.shape.length === result.shape.length
      ? place.map((p, a) => (axes.has(a) ? 0 : p))
      : place.filter((_, a) => !axes.has(a));
  const value = g.whole.length === 1 ? g.whole[0] : g.whole[flatIn(g.shape, kept)];
  return value === undefined ? null : [{ text: number(value), value }];
}
