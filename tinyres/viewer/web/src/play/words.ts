// Numbers as one writes them on a blackboard.

import { number } from "../text";

const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";

export const ten = (power: number): string =>
  `10${[...String(Math.round(power))].map((c) => (c === "-" ? "⁻" : RAISED[Number(c)])).join("")}`;

/** Large and small ones by their power of ten. */
export function plainly(value: number): string {
  const size = Math.abs(value);
  if (!(size >= 1e5 || (size < 1e-3 && size > 0)) || size === Infinity) return number(value, 3);
  const power = Math.floor(Math.log10(size) + 1e-12);
  const front = number(value / 10 ** power, 2);
  return front === "1" ? ten(power) : `${front}·${ten(power)}`;
}

/** At an axis: whole powers of ten as such where numbers would be long. */
export function tick(value: number): string {
  const power = Math.log10(Math.abs(value));
  if (value > 0 && Math.abs(power - Math.round(power)) < 1e-9 && (power < -2.5 || power > 4.5)) return ten(power);
  return number(value, 3);
}
