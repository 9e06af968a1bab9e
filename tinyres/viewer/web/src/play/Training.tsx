// Over training: loss, accuracy, and the gradient of every block at every step.

import { bisectLeft } from "d3-array";
import { scaleLinear, scaleLog } from "d3-scale";
import { useLayoutEffect, useRef } from "preact/hooks";

import { bound, colour, type Bound } from "../palette";
import { many, number } from "../text";
import { Axes, decades, dots, EDGE, extent, Panel, path, type Scale, type Size } from "./chart";
import { chosen, type History } from "./history";
import { Ramp } from "./Ramp";

const POINTS = 400;

export interface Curve {
  column: string;
  name: string;
  class: string;
}

interface CurvesProps {
  name: string;
  title: string;
  history: History;
  step: number;
  curves: Curve[];
  height: number;
  log?: boolean;
  domain?: [number, number];
  veil?: preact.ComponentChildren;
}

export function Curves({ name, title, history, step, curves, height, log, domain, veil }: CurvesProps) {
  const count = history.count(step);
  const started = (history.step[count - 1] ?? 0) !== 0; // before it a game has no losses yet, which is not a failure
  const last = (column: string): string => {
    const value = history.columns[column]?.[count - 1] ?? NaN;
    return started || Number.isFinite(value) ? number(value, 3) : "–";
  };
  const now = curves.map((curve) => `${curve.name} ${last(curve.column)}`).join(", ");
  return (
    <Panel
      name={name}
      title={title}
      label={`${title} over ${many(count, "step")}: ${now}`}
      height={height}
      veil={veil}
      draw={(size) => <Lines {...size} {...{ history, step, count, curves, log, domain }} />}
      tools={
        <span class="now">
          {curves.map((curve) => (
            <span>
              {curves.length > 1 && <i class={`stroke ${curve.class}`} />} {curves.length > 1 && curve.name} <b>{last(curve.column)}</b>
            </span>
          ))}
        </span>
      }
    />
  );
}

type LinesProps = Size & Pick<CurvesProps, "history" | "step" | "curves"> & {
  count: number;
  log: boolean | undefined;
  domain: [number, number] | undefined;
};

function Lines({ width, height, history, step, count, curves, log, domain }: LinesProps) {
  const places = chosen(count, POINTS);
  const lines = curves.map(({ column }) => places.map((i) => history.columns[column]?.[i] ?? NaN));
  const room: [number, number] = [height - EDGE.bottom, EDGE.top];
  const y: Scale = log ? scaleLog(decades(...lines), room) : scaleLinear(domain ?? extent(...lines), room).nice(4);
  const x = stepScale(history, step, width);
  return (
    <>
      <Axes {...{ x, y, width, height }} xLabel="step" />
      {curves.map((curve, k) => {
        const points = places.map((place, i) => {
          const value = lines[k]?.[i] ?? NaN;
          return [x(history.step[place] as number), log && value <= 0 ? NaN : y(value)] as const;
        });
        return (
          <g class={curve.class}>
            <path class="measured" d={path(points)} />
            <path class="dot" d={dots(points.slice(-1))} />
          </g>
        );
      })}
    </>
  );
}

/** From the first step to the one that is shown. */
function stepScale(history: History, step: number, width: number): Scale {
  const first = history.step[0] ?? 0;
  return scaleLinear([first, Math.max(step, first + 1)], [EDGE.left, width - EDGE.right]);
}

interface HeatProps {
  history: History;
  step: number;
  blocks: number;
  height: number;
  veil?: preact.ComponentChildren;
}

export function Heat({ history, step, blocks, height, veil }: HeatProps) {
  const count = history.count(step);
  const range = rangeOf(history, count);
  return (
    <Panel
      name="heat"
      title="Gradient over training"
      label={`The gradient's norm at ${blocks} blocks over ${many(count, "step")}, from ${number(10 ** range.low, 2)} to ${number(10 ** range.high, 2)}`}
      height={height}
      veil={veil}
      under={(size) => <Cells {...size} {...{ history, step, count, range }} />}
      draw={({ width }) => {
        const y = scaleLinear([1, blocks], [height - EDGE.bottom - 6, EDGE.top + 6]);
        return <Axes x={stepScale(history, step, width)} y={y} width={width} height={height} xLabel="step" yText={whole} bare />;
      }}
    >
      <p class="legend">
        |gradient| <Ramp range={range} />
      </p>
    </Panel>
  );
}

const whole = (value: number): string => (Number.isInteger(value) ? String(value) : "");

function rangeOf(history: History, count: number): Bound {
  const { low, high } = bound(chosen(count, 64).flatMap((i) => history.heat[i] ?? []));
  return { low: Math.floor(low + 1e-9), high: Math.ceil(high - 1e-9) };
}

const SHADES = 256;

/** A pixel a cell; the last block is above, as the loss is at the end. */
function Cells({ width, height, history, step, count, range }: Size & { history: History; step: number; count: number; range: Bound }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const columns = Math.min(360, Math.max(1, step - (history.step[0] ?? 0) + 1));
  const rows = history.heat[0]?.length ?? 1;
  useLayoutEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || count === 0) return;
    const image = context.createImageData(columns, rows);
    const pixels = new Uint32Array(image.data.buffer);
    const shades = Array.from({ length: SHADES }, (_, i) => packed(range.low + (i / (SHADES - 1)) * (range.high - range.low), range));
    const first = history.step[0] as number;
    for (let column = 0; column < columns; column++) {
      const at = first + (columns === 1 ? 0 : (column / (columns - 1)) * (step - first));
      const row = history.heat[Math.min(count - 1, bisectLeft(history.step, Math.round(at), 0, count))];
      for (let block = 0; block < rows; block++) {
        const value = row?.[block] ?? NaN;
        const shade = Math.round(((SHADES - 1) * (value - range.low)) / (range.high - range.low));
        pixels[(rows - 1 - block) * columns + column] = Number.isFinite(value)
          ? (shades[Math.min(SHADES - 1, Math.max(0, shade))] as number)
          : packed(value, range);
      }
    }
    context.putImageData(image, 0, 0);
  }, [history, count, step, columns, range.low, range.high]);
  const place = {
    left: `${EDGE.left}px`,
    top: `${EDGE.top}px`,
    width: `${width - EDGE.left - EDGE.right}px`,
    height: `${height - EDGE.top - EDGE.bottom}px`,
  };
  return <canvas ref={canvas} class="pixels" style={place} width={columns} height={rows} aria-hidden="true" />;
}

function packed(value: number, range: Bound): number {
  const [r, g, b] = colour(value, range);
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
}
