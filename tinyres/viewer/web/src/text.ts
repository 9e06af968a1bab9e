// Numbers, shapes and events as text.

import { viewOf, type View } from "./arrays";
import { completed, eventAt, toNumber, type Event, type Join, type Op, type Trace } from "./data";

/** A few significant digits, without trailing zeros; the minus sign is one. */
export function number(value: number, digits = 4): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text =
    size >= 1e5 || size < 1e-4
      ? value
          .toExponential(2)
          .replace(/\.?0+e/, "e")
          .replace("e+", "e")
      : String(Number(value.toPrecision(digits)));
  return text.replaceAll("-", "−");
}

/** "1 step", "2 steps". */
export const many = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`;

export const shapeText = (shape: number[]): string => (shape.length ? shape.join("×") : "number");

export const nameOf = (op: Op): string => op.name ?? `${op.kind} #${op.id}`;

export const passOf = (event: Event): "f" | "b" => (event.kind === "forward" ? "f" : "b");

/** A single number in full, an array by its norm. */
function amount(view: View): string {
  return view.whole?.length === 1 ? number(view.whole[0] as number) : `norm ${number(view.norm)}`;
}

/** A negative number after a sign. */
const bracketed = (text: string): string => (text.startsWith("−") ? `(${text})` : text);

const laneOf = (trace: Trace, event: Event): string => trace.lanes[event.lane ?? 0] ?? "the output";

/** Such as "add #12 (skip)": what sends, and by which of its arguments if that is not told by a role. */
export function through(trace: Trace, event: Event): string {
  const consumer = trace.ops[event.consumer as number] as Op;
  const role = consumer.roles?.[event.arg] ?? (consumer.inputs.length > 1 ? consumer.args[event.arg] : undefined);
  return `${nameOf(consumer)}${role ? ` (${role})` : ""}`;
}

/** As a module's name is often a number, it is said to be a block's. */
export const blockOf = ({ modules }: Trace, path: string): string =>
  path ? `block ${path}${Object.hasOwn(modules, path) ? ` (${modules[path]})` : ""}` : "the block";

/** Of the sum of the routes' norms, "68 %" each; nothing where the norms cannot be compared. */
export function sharesOf({ routes }: Join): string[] {
  const norms = routes.map((route) => toNumber(route.norm));
  const all = norms.reduce((a, b) => a + b, 0);
  return norms.map((norm) => (all > 0 && Number.isFinite(all) ? `${Math.round((100 * norm) / all)} %` : ""));
}

export const degrees = (angle: number): number => Math.round((180 * angle) / Math.PI);

/** "; block 1 (Residual): the routes rejoin: skip 68 %, branch 32 %, 35 degrees apart": what an event completes. */
export const rejoinsAt = (trace: Trace, step: number): string =>
  trace.joins
    .filter((join) => completed(join) === step)
    .map((join) => {
      const shares = sharesOf(join);
      const parts = join.routes.map(({ role, norm }, i) => `${role} ${shares[i] || `norm ${number(toNumber(norm))}`}`);
      if (join.angle !== null) parts.push(`${degrees(join.angle)} degrees apart`);
      return `; ${blockOf(trace, join.name)}: the routes rejoin: ${parts.join(", ")}`;
    })
    .join("");

/** The event in one sentence, which screen readers announce. */
export function sentence(trace: Trace, step: number): string {
  const event = eventAt(trace, step);
  const op = trace.ops[event.op] as Op;
  const size = (index: number): string => amount(viewOf(trace, index));
  switch (event.kind) {
    case "forward": {
      const again = op.again ? "forward, recomputed by a checkpoint" : "forward";
      const value = op.value === null ? "" : `: ${size(op.value)}`;
      return `${again}: ${nameOf(op)} computes ${op.shape.length ? `${shapeText(op.shape)} numbers` : "a number"}${value}`;
    }
    case "seed":
      return `seed: the backward pass of ${laneOf(trace, event)} begins at ${nameOf(op)} with ${size(event.total ?? 0)}`;
    case "rule":
      return `rule: ${through(trace, event)} sends a gradient to ${nameOf(op)}: ${size(event.contribution as number)}`;
    case "accumulate":
      return `accumulate: ${nameOf(op)} receives ${addition(trace, event)}`;
  }
}

function addition(trace: Trace, event: Event): string {
  const from = `contribution, from ${through(trace, event)}`;
  const [before, added, total] = [event.before, event.contribution, event.total].map((index) =>
    index === null ? null : viewOf(trace, index),
  ) as [View | null, View, View];
  if (before === null) return `its first ${from}: ${amount(total)}`;
  if (total.whole?.length === 1) return `a further ${from}: ${amount(before)} + ${bracketed(amount(added))} = ${amount(total)}`;
  return `a further ${from}: norm ${number(added.norm)}; with norm ${number(before.norm)} before, norm ${number(total.norm)} in all`;
}
