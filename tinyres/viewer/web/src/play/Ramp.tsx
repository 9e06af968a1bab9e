// The colours of norms, with what the first and the last of them mean.

import { colour, type Bound } from "../palette";
import { plainly, ten } from "./words";

export function Ramp({ range }: { range: Bound }) {
  const stops = Array.from({ length: 9 }, (_, i) => range.low + (i / 8) * (range.high - range.low));
  const text = (power: number): string => (Number.isInteger(power) ? ten(power) : plainly(10 ** power));
  return (
    <span class="ramp">
      {text(range.low)}
      <i style={{ background: `linear-gradient(to right, ${stops.map((at) => `rgb(${colour(at, range).join(" ")})`).join(", ")})` }} />
      {text(range.high)}
    </span>
  );
}
