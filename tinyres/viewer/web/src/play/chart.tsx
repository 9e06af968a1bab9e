// The parts of every chart: its frame with title and saving, its size, and axes made from d3's scales.

import type { ScaleLinear, ScaleLogarithmic } from "d3-scale";
import { line } from "d3-shape";
import { createContext, type ComponentChildren } from "preact";
import { useContext, useLayoutEffect, useRef, useState } from "preact/hooks";

import { number } from "../text";
import { Tools } from "../Tools";
import { picture } from "./save";
import { plainly, ten, tick } from "./words";

export type Scale = ScaleLinear<number, number> | ScaleLogarithmic<number, number>;

export interface Size {
  width: number;
  height: number;
}

/** By how much the reader's letters are larger than the browser's usual ones, for which the lengths here are made. */
export const LETTERS = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;

/** Room for the axes, in pixels; the net's picture and what stands under it share the left and the right. */
export const EDGE = { left: 54 * LETTERS, right: 14 * LETTERS, top: 10 * LETTERS, bottom: 34 * LETTERS };

/** Whether the pictures are still those of an earlier setting than the knobs show: then nobody is told what they say. */
export const Computing = createContext(false);
export const COMPUTING = "computing …";

interface PanelProps {
  name: string;
  title: string;
  /** What it shows, in a sentence, for those who do not see it. */
  label: string;
  height: number;
  draw: (size: Size) => ComponentChildren;
  /** Pixels that lie under the drawing. */
  under?: (size: Size) => ComponentChildren;
  tools?: ComponentChildren;
  children?: ComponentChildren;
  /** Hidden until somebody has guessed. */
  veil?: ComponentChildren;
  /** Somebody points at it, so far from its left. */
  onPoint?: ((x: number, size: Size) => void) | undefined;
  /** Width by height of what is drawn: no higher than it needs. */
  shape?: number;
}

export function Panel({ name, title, label, height, draw, under, tools, children, veil, onPoint, shape }: PanelProps) {
  const body = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const computing = useContext(Computing);
  const withheld = computing || Boolean(veil); // nobody is told, and nothing is saved, before it may be seen
  useLayoutEffect(() => {
    const element = body.current as HTMLDivElement;
    const measure = (): void => setWidth(Math.floor(element.clientWidth));
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const size = { width, height: shape ? Math.min(Math.ceil(width / shape), height) : height };
  const save = (format: "svg" | "png"): void => {
    const chart = body.current?.querySelector<SVGSVGElement>("svg.chart");
    if (chart && !withheld) void picture(chart, title, `tinyres-${name}`, format);
  };
  return (
    <section class={`panel ${name}`} data-panel={name} aria-labelledby={`title-${name}`}>
      <header>
        <h2 id={`title-${name}`}>{title}</h2>
        {tools}
        <span class="space" />
        <Tools class="saving" label={`Save “${title}”`}>
          {(["svg", "png"] as const).map((format) => (
            <button type="button" aria-disabled={withheld} aria-label={`Save “${title}” as ${format.toUpperCase()}`} onClick={() => save(format)}>
              {format.toUpperCase()}
            </button>
          ))}
        </Tools>
      </header>
      <div
        class="drawing"
        ref={body}
        style={{ height: `${size.height}px` }}
        onClick={onPoint && ((e) => onPoint(e.clientX - e.currentTarget.getBoundingClientRect().left, size))}
        onPointerMove={onPoint && ((e) => onPoint(e.clientX - e.currentTarget.getBoundingClientRect().left, size))}
      >
        {width > 0 && under?.(size)}
        {width > 0 && (
          <svg class="chart" width={width} height={size.height} role="img" aria-label={computing ? `${title}: ${COMPUTING}` : veil ? `${title}: shown after your guess` : label}>
            {draw(size)}
          </svg>
        )}
        {veil && <div class="veil">{veil}</div>}
        {computing && !veil && (
          <p class="awaited" aria-hidden="true">
            {COMPUTING}
          </p>
        )}
      </div>
      {!veil && children && <div class="words">{children}</div>}
    </section>
  );
}

interface AxesProps extends Size {
  x: Scale;
  y: Scale;
  xLabel?: string;
  yLabel?: string;
  xTicks?: number[];
  xText?: (value: number) => string;
  yText?: (value: number) => string;
  /** Without lines across. */
  bare?: boolean;
}

export function Axes({ x, y, width, height, xLabel, yLabel, xTicks, xText, yText, bare }: AxesProps) {
  const [bottom, right] = [height - EDGE.bottom, width - EDGE.right];
  const marks = ticks(x, Math.max(2, (right - EDGE.left) / (90 * LETTERS)));
  const horizontal = xTicks ?? (xLabel === "step" ? marks.filter(Number.isInteger) : marks);
  const across = xText ?? told(horizontal);
  const vertical = ticks(y, Math.max(2, (bottom - EDGE.top) / (38 * LETTERS)));
  const text = yText ?? (isLog(y) && span(y) > 3 ? (value) => ten(Math.log10(value)) : isLog(y) ? plainly : told(vertical));
  return (
    <g class="axes">
      {vertical.map((value) => (
        <g key={`y${value}`} transform={`translate(0 ${y(value).toFixed(1)})`}>
          {!bare && <line x1={EDGE.left} x2={right} />}
          <text x={EDGE.left - 7} dy="0.33em" text-anchor="end">
            {text(value)}
          </text>
        </g>
      ))}
      <line class="base" x1={EDGE.left} x2={right} y1={bottom} y2={bottom} />
      {horizontal.map((value) => (
        <text key={`x${value}`} x={x(value)} y={bottom + 14 * LETTERS} text-anchor="middle">
          {across(value)}
        </text>
      ))}
      {xLabel && (
        <text class="name" {...placed(xLabel, right, width)} y={height - 4} text-anchor="middle">
          {xLabel}
        </text>
      )}
      {yLabel && (
        <text class="name" x={2} y={EDGE.top - 1} dy="0.1em">
          {yLabel}
        </text>
      )}
    </g>
  );
}

/** With as many digits as tell the values from each other. */
function told(values: number[]): (value: number) => string {
  const apart = (text: (value: number) => string): boolean => new Set(values.map(text)).size === values.length;
  const ways = [tick, ...[4, 5, 6, 7, 8].map((digits) => (value: number) => number(value, digits))];
  return ways.find(apart) ?? tick;
}

/** Below the axis; a label that would be wider, with large letters on a phone, is drawn as wide as the picture. */
const placed = (text: string, right: number, width: number) =>
  text.length * 6 * LETTERS < right - EDGE.left
    ? { x: (EDGE.left + right) / 2 }
    : { x: width / 2, textLength: Math.min(text.length * 6 * LETTERS, width), lengthAdjust: "spacingAndGlyphs" };

const isLog = (scale: Scale): scale is ScaleLogarithmic<number, number> => "base" in scale;

/** Powers of ten between the ends. */
function span(scale: Scale): number {
  const [low = 1, high = 1] = scale.domain();
  return Math.log10(high / low);
}

/** On a log axis whole powers of ten, and between few of them also twice and five times. */
function ticks(scale: Scale, count: number): number[] {
  const all = scale.ticks(Math.floor(count));
  if (!isLog(scale)) return all;
  const first = span(scale) > 1.5 ? [1] : [1, 2, 5];
  return all.filter((value) => first.includes(Number((value / 10 ** Math.floor(Math.log10(value) + 1e-9)).toFixed(6))));
}

/** From the smallest to the largest of the finite positive values, to whole powers of ten. */
export function decades(...lists: (readonly (number | null)[] | null | undefined)[]): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const list of lists)
    for (const value of list ?? [])
      if (value !== null && value > 0 && value < Infinity) {
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
  if (low > high) return [0.1, 1];
  const [from, to] = [Math.floor(Math.log10(low) + 1e-9), Math.ceil(Math.log10(high) - 1e-9)];
  return [Math.max(10 ** from, Number.MIN_VALUE), 10 ** Math.max(to, from + 1)];
}

/** From the smallest to the largest of the finite values, with some air. */
export function extent(...lists: readonly (readonly (number | null)[])[]): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const list of lists)
    for (const value of list)
      if (value !== null && Number.isFinite(value)) {
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
  return low > high ? [0, 1] : low === high ? [low - 0.5, high + 0.5] : [low, high];
}

type Point = readonly [number, number];

const finite = ([x, y]: Point): boolean => Number.isFinite(x) && Number.isFinite(y);
const lined = line<Point>().defined(finite).digits(1);

/** A line through the points that are finite; the others leave gaps. */
export const path = (points: readonly Point[]): string => lined(points as Point[]) ?? "";

/** Round dots, once the stroke has round ends. */
export const dots = (points: readonly Point[]): string =>
  points.map((point) => (finite(point) ? `M${point[0].toFixed(1)} ${point[1].toFixed(1)}h0` : "")).join("");
