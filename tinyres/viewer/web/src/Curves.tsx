// What an instrument has measured at each recorded step: several lines in one chart, their values at the chosen step beside it.

import { toNumber, type Curves as Chart } from "./data";
import { ends } from "./palette";
import { number } from "./text";

const HEIGHT = 100;
const DASHES = ["", "7 3", "2 3", "9 3 2 3", "4 4", "1 5", "12 4"];

/** Position of a value from 0 at the bottom to 1 at the top; on a logarithmic chart what is not positive has none. */
function scaleOf(values: number[], log: boolean): { at: (value: number) => number; low: number; high: number } {
  const { low, high } = ends(log ? values.filter((value) => value > 0) : values);
  const form = log ? Math.log10 : (value: number): number => value;
  const width = Math.max(form(high) - form(low), 1e-12);
  return { at: (value) => (log && value <= 0 ? NaN : (form(value) - form(low)) / width), low, high };
}

export function Curves({ chart, chosen }: { chart: Chart; chosen: number }) {
  const lines = chart.lines.map(({ name, values }) => ({
    name,
    values: values.map((value) => (value === null ? NaN : toNumber(value))),
  }));
  const { at, low, high } = scaleOf(lines.flatMap((line) => line.values), chart.log);
  const steps = lines[0]?.values.length ?? 0;
  if (!Number.isFinite(low) || steps < 2) return null;
  const y = (value: number): number => HEIGHT * (0.06 + 0.88 * (1 - at(value)));
  const path = (values: number[]): string => {
    let [found, open] = ["", false];
    values.forEach((value, i) => {
      const there = Number.isFinite(value) && Number.isFinite(at(value));
      if (there) found += `${open ? "L" : "M"}${i + 0.5} ${y(value).toFixed(2)}`;
      open = there;
    });
    return found;
  };
  return (
    <figure class="curves">
      <figcaption>
        {chart.title}
        {chart.log && <span class="muted"> (logarithmic)</span>}
      </figcaption>
      <div class="loss">
        <div class="layers" aria-hidden="true">
          <span>{number(high, 3)}</span>
          <span>{number(low, 3)}</span>
        </div>
        <svg viewBox={`0 0 ${steps} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
          {lines.map(({ values }, i) => (
            <path
              class={`line-${i % 4}`}
              d={path(values)}
              stroke-dasharray={DASHES[i % DASHES.length]}
              vector-effect="non-scaling-stroke"
            />
          ))}
          <path class="here" d={`M${chosen + 0.5} 0V${HEIGHT}`} vector-effect="non-scaling-stroke" />
        </svg>
      </div>
      <ul>
        {lines.map(({ name, values }, i) => (
          <li>
            <svg viewBox="0 0 26 8" aria-hidden="true">
              <path class={`line-${i % 4}`} d="M0 4H26" stroke-dasharray={DASHES[i % DASHES.length]} />
            </svg>
            {name} <span class="value">{Number.isFinite(values[chosen]) ? number(values[chosen] as number, 3) : "–"}</span>
          </li>
        ))}
      </ul>
    </figure>
  );
}
