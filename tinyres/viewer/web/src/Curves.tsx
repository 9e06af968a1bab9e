// What was measured at each recorded step, step above step under the heat map: the loss, and what an instrument told.

import type { ComponentChildren } from "preact";

import { toNumber, type Curves as Chart, type Num } from "./data";
import { ends } from "./palette";
import { number } from "./text";

const HEIGHT = 100;
const DASHES = ["", "7 3", "2 3", "9 3 2 3", "4 4", "1 5", "12 4"];

const numbers = (values: (Num | null)[]): number[] => values.map((value) => (value === null ? NaN : toNumber(value)));

interface Scale {
  low: number;
  high: number;
  /** Down from the top; on a logarithmic chart what is not positive has no place, and equal values lie half-way. */
  y: (value: number) => number;
}

function scaleOf(values: number[], log = false): Scale {
  const { low, high } = ends(log ? values.filter((value) => value > 0) : values);
  const form = log ? Math.log10 : (value: number): number => value;
  const width = form(high) - form(low);
  const at = (value: number): number => (width ? (form(high) - form(value)) / width : 0.5);
  return { low, high, y: (value) => (log && value <= 0 ? NaN : HEIGHT * (0.06 + 0.88 * at(value))) };
}

/** A line through the finite values; the others leave gaps. */
function path(values: number[], y: Scale["y"]): string {
  let [found, open] = ["", false];
  values.forEach((value, i) => {
    const there = Number.isFinite(value) && Number.isFinite(y(value));
    if (there) found += `${open ? "L" : "M"}${i + 0.5} ${y(value).toFixed(2)}`;
    open = there;
  });
  return found;
}

interface PlotProps {
  scale: Scale;
  steps: number;
  /** Between the ends of its axis. */
  name?: string;
  /** For those who do not see it, unless all of it stands beside it. */
  label?: string;
  children: ComponentChildren;
}

function Plot({ scale, steps, name, label, children }: PlotProps) {
  return (
    <div class="loss">
      <div class="layers" aria-hidden="true">
        <span>{number(scale.high, 3)}</span>
        {name && <span>{name}</span>}
        <span>{number(scale.low, 3)}</span>
      </div>
      <svg
        viewBox={`0 0 ${steps} ${HEIGHT}`}
        preserveAspectRatio="none"
        {...(label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" })}
      >
        {children}
      </svg>
    </div>
  );
}

export function Loss({ losses, chosen }: { losses: (Num | null)[]; chosen: number }) {
  const values = numbers(losses);
  const finite = values.filter(Number.isFinite);
  if (finite.length < 2) return null;
  const scale = scaleOf(values);
  const [first, last, now] = [finite[0], finite.at(-1), values[chosen]] as [number, number, number];
  return (
    <Plot
      scale={scale}
      steps={values.length}
      name="loss"
      label={`Loss over ${values.length} recorded steps, from ${number(first)} to ${number(last)}; ${number(now)} at the chosen one`}
    >
      <path d={path(values, scale.y)} vector-effect="non-scaling-stroke" />
      {Number.isFinite(now) && <path class="now" d={`M${chosen + 0.5} ${scale.y(now)}h0`} vector-effect="non-scaling-stroke" />}
    </Plot>
  );
}

/** Several lines in one chart, their values at the chosen step below it. */
export function Curves({ chart, chosen }: { chart: Chart; chosen: number }) {
  const lines = chart.lines.map(({ name, values }) => ({ name, values: numbers(values) }));
  const scale = scaleOf(lines.flatMap((line) => line.values), chart.log);
  const steps = lines[0]?.values.length ?? 0;
  if (!Number.isFinite(scale.low) || steps < 2) return null;
  return (
    <figure class="curves">
      <figcaption>
        {chart.title}
        {chart.log && <span class="muted"> (logarithmic)</span>}
      </figcaption>
      <Plot scale={scale} steps={steps}>
        {lines.map(({ values }, i) => (
          <path
            class={`line-${i % 4}`}
            d={path(values, scale.y)}
            stroke-dasharray={DASHES[i % DASHES.length]}
            vector-effect="non-scaling-stroke"
          />
        ))}
        <path class="here" d={`M${chosen + 0.5} 0V${HEIGHT}`} vector-effect="non-scaling-stroke" />
      </Plot>
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
