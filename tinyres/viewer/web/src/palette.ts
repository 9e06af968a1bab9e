// From log10 of a norm to a colour: dark where the gradient vanishes, light where it is large, even to the eye between.

export interface Bound {
  low: number;
  high: number;
}

type Colour = [number, number, number];

export const UNKNOWN: Colour = [214, 39, 110];
const NOTHING: Colour = [0, 0, 0]; // log10 of a norm of zero
const STOPS: Colour[] = [
  [22, 26, 64],
  [44, 56, 117],
  [49, 98, 143],
  [51, 138, 146],
  [92, 175, 132],
  [170, 205, 110],
  [246, 229, 126],
];

/** The range of the finite values, however many there are; without any, low is above high. */
export function ends(values: number[]): Bound {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values)
    if (Number.isFinite(value)) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return { low, high };
}

/** The same, a decade at least. */
export function bound(values: number[]): Bound {
  const { low, high } = ends(values);
  if (low > high) return { low: -1, high: 0 };
  const spare = Math.max(0, 1 - (high - low)) / 2;
  return { low: low - spare, high: high + spare };
}

export function colour(value: number, { low, high }: Bound): Colour {
  if (value === -Infinity) return NOTHING;
  if (!Number.isFinite(value)) return UNKNOWN;
  const at = Math.min(1, Math.max(0, (value - low) / (high - low))) * (STOPS.length - 1);
  const i = Math.min(STOPS.length - 2, Math.floor(at));
  const [a, b] = [STOPS[i] as Colour, STOPS[i + 1] as Colour];
  return [0, 1, 2].map((k) =>
    Math.round((a[k] as number) + (at - i) * ((b[k] as number) - (a[k] as number))),
  ) as Colour;
}
