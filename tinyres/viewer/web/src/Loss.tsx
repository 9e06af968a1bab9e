// The losses of a recorded training as a curve under its heat map, step above step.

import { toNumber, type Num } from "./data";
import { ends } from "./palette";
import { number } from "./text";

const HEIGHT = 100;

export function Loss({ losses, chosen }: { losses: (Num | null)[]; chosen: number }) {
  const values = losses.map((loss) => (loss === null ? NaN : toNumber(loss)));
  const finite = values.filter(Number.isFinite);
  if (finite.length < 2) return null;
  const { low, high } = ends(finite);
  const y = (value: number): number => HEIGHT * (0.06 + (0.88 * (high - value)) / Math.max(high - low, 1e-12));
  const pieces: string[] = [];
  values.forEach((value, i) => {
    if (!Number.isFinite(value)) return;
    const begins = i === 0 || !Number.isFinite(values[i - 1]);
    pieces.push(`${begins ? "M" : "L"}${i + 0.5} ${y(value).toFixed(2)}`);
  });
  const now = values[chosen] as number;
  return (
    <div class="loss">
      <div class="layers" aria-hidden="true">
        <span>{number(high, 3)}</span>
        <span>loss</span>
        <span>{number(low, 3)}</span>
      </div>
      <svg
        viewBox={`0 0 ${values.length} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`Loss over ${values.length} recorded steps, from ${number(finite[0] as number)} to ${number(finite.at(-1) as number)}; ${number(now)} at the chosen one`}
      >
        <path d={pieces.join("")} vector-effect="non-scaling-stroke" />
        {Number.isFinite(now) && (
          <path class="now" d={`M${chosen + 0.5} ${y(now)}h0`} vector-effect="non-scaling-stroke" />
        )}
      </svg>
    </div>
  );
}
