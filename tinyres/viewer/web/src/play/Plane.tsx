// Two-dimensional pictures: the decision boundary of the net, and the samples of a game over D's level lines.

import { contours } from "d3-contour";
import { scaleLinear, type ScaleLinear } from "d3-scale";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";

import { number } from "../text";
import { Panel, type Size } from "./chart";
import { unpacked, type Bounds, type GameFrame, type Grid, type NetFrame, type Start } from "./protocol";

/** Classes in the order of their labels; none has another meaning on this page. */
const CLASSES: [number, number, number][] = [
  [136, 34, 85],
  [68, 170, 153],
  [153, 153, 51],
  [140, 109, 70],
];

type Line = ScaleLinear<number, number>;

const MARGIN = 8;

const FLAT = 2.5;

/** The largest rectangle of the box's shape, in the middle; a flat box, as one dimension has, fills it. */
function scales([x0, x1, y0, y1]: Bounds, { width, height }: Size): { x: Line; y: Line } {
  const [across, up] = [(width - 2 * MARGIN) / (x1 - x0), (height - 2 * MARGIN) / (y1 - y0)];
  const least = Math.min(across, up);
  const [sx, sy] = (x1 - x0) / (y1 - y0) > FLAT ? [across, up] : [least, least];
  const [w, h] = [((x1 - x0) * sx) / 2, ((y1 - y0) * sy) / 2];
  return {
    x: scaleLinear([x0, x1], [width / 2 - w, width / 2 + w]),
    y: scaleLinear([y0, y1], [height / 2 + h, height / 2 - h]),
  };
}

/** Where the pixels lie: their centres go from edge to edge. */
const placed = ({ x, y }: { x: Line; y: Line }, { rows, columns }: Grid): Record<string, string> => {
  const [left, right, bottom, top] = [...x.range(), ...y.range()] as Bounds;
  const [across, down] = [(right - left) / (columns - 1), (bottom - top) / (rows - 1)];
  const place = { left: left - across / 2, top: top - down / 2, width: columns * across, height: rows * down };
  return Object.fromEntries(Object.entries(place).map(([name, value]) => [name, `${value}px`]));
};

interface BoundaryProps {
  start: Start;
  frame: NetFrame;
  height: number;
  veil?: preact.ComponentChildren;
}

export function Boundary({ start, frame, height, veil }: BoundaryProps) {
  const { data } = start;
  const grid = useMemo(() => (frame.boundary ? unpacked(frame.boundary) : null), [frame.boundary]);
  if (data === null) return null;
  return (
    <Panel
      name="boundary"
      title="What the net says"
      label={`The net's answer over the plane, and ${data.points.length} data points in ${new Set(data.labels).size} classes; accuracy ${number(frame.accuracy ?? NaN, 3)}`}
      height={height}
      shape={(data.box[1] - data.box[0]) / (data.box[3] - data.box[2])}
      veil={veil}
      under={(size) => grid && <Answer grid={grid} place={placed(scales(data.box, size), grid)} />}
      draw={(size) => <Points {...scales(data.box, size)} data={data} />}
    >
      <ul class="legend">
        {[...new Set(data.labels)].sort().map((label) => (
          <li>
            <svg class="key" viewBox="-5 -5 10 10" aria-hidden="true">
              <path class={`class-${label}`} d={`M0 0${SHAPES[label]}`} />
            </svg>
            class {label}
          </li>
        ))}
        <li>the stronger the colour, the surer the net</li>
      </ul>
    </Panel>
  );
}

function Points({ x, y, data }: { x: Line; y: Line; data: NonNullable<Start["data"]> }) {
  const [left, top] = [x.range()[0] as number, y.range()[1] as number];
  return useMemo(
    () => (
      <g class="points">
        {CLASSES.map((_, label) => (
          <path class={`class-${label}`} d={marks(data, label, x, y)} />
        ))}
      </g>
    ),
    [data, left, top, x.range()[1]],
  );
}

/** Discs for the first class, squares, diamonds and triangles for the others: not by colour alone. */
const SHAPES = ["m-3 0a3 3 0 1 0 6 0a3 3 0 1 0 -6 0", "m-2.7 -2.7h5.4v5.4h-5.4z", "m0 -3.7l3.7 3.7l-3.7 3.7l-3.7 -3.7z", "m0 -3.4l3.2 5.6h-6.4z"];

const marks = ({ points, labels }: NonNullable<Start["data"]>, label: number, x: Line, y: Line): string =>
  points.map(([px, py], i) => (labels[i] === label ? `M${x(px).toFixed(1)} ${y(py).toFixed(1)}${SHAPES[label]}` : "")).join("");

function Answer({ grid, place }: { grid: Grid; place: Record<string, string> }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { rows, columns, depth, values } = grid;
  useLayoutEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    const image = context.createImageData(columns, rows);
    for (let i = 0; i < rows * columns; i++) {
      const [label, sure] = answer(values, i, depth);
      const at = 4 * ((rows - 1 - Math.floor(i / columns)) * columns + (i % columns));
      image.data.set([...(CLASSES[label % CLASSES.length] as [number, number, number]), 165 * sure], at);
    }
    context.putImageData(image, 0, 0);
  }, [grid]);
  return <canvas ref={canvas} class="pixels smooth" style={place} width={columns} height={rows} aria-hidden="true" />;
}

/** The most likely class, and how far it is from a mere guess. */
function answer(values: ArrayLike<number>, i: number, depth: number): [number, number] {
  if (depth === 1) {
    const p = values[i] as number;
    return Number.isFinite(p) ? [p > 0.5 ? 1 : 0, Math.min(1, Math.abs(2 * p - 1))] : [0, 0];
  }
  let best = 0;
  for (let k = 1; k < depth; k++) if ((values[i * depth + k] as number) > (values[i * depth + best] as number)) best = k;
  const p = values[i * depth + best] as number;
  return [best, Math.max(0, (p - 1 / depth) / (1 - 1 / depth))];
}

const LEVELS = 9;
const LONGEST = 34; // pixels of the longest arrow

interface SamplesProps {
  frame: GameFrame;
  height: number;
  veil?: preact.ComponentChildren;
  children?: preact.ComponentChildren;
}

export function Samples({ frame, height, veil, children }: SamplesProps) {
  const grid = useMemo(() => (frame.level ? unpacked(frame.level) : null), [frame.level]);
  const flat = (frame.box[1] - frame.box[0]) / (frame.box[3] - frame.box[2]) > FLAT;
  const outside = frame.fake.filter((point) => !inside(frame.box, point)).length;
  return (
    <Panel
      name="plane"
      title={grid ? "Samples over D’s level lines" : "Samples"}
      label={`${frame.real.length} real and ${frame.fake.length} generated samples over the level lines of D; arrows show where the loss pulls each generated sample`}
      height={flat ? height / 2 : height}
      veil={veil}
      draw={(size) => {
        const { x, y } = scales(frame.box, size);
        return (
          <>
            {grid && <Levels grid={grid} x={x} y={y} />}
            <path class="real" d={spots(frame.real, frame.box, x, y, "m-2.6 0h5.2m-2.6 -2.6v5.2")} />
            <path class="pull" d={arrows(frame, x, y)} />
            <path class="fake" d={spots(frame.fake, frame.box, x, y, SHAPES[0] as string)} />
          </>
        );
      }}
    >
      <ul class="legend">
        <li><i class="mark real" /> real</li>
        <li><i class="mark fake" /> made by G{outside > 0 && `, ${outside} of them outside`}</li>
        <li><i class="stroke gradient" /> where −∂L/∂x pulls it</li>
        {grid && <li><i class="swatch level" /> D says “real”</li>}
      </ul>
      {children}
    </Panel>
  );
}

const inside = ([x0, x1, y0, y1]: Bounds, [x, y]: [number, number]): boolean => x >= x0 && x <= x1 && y >= y0 && y <= y1;

const spots = (points: [number, number][], box: Bounds, x: Line, y: Line, shape: string): string =>
  points.map(([px, py]) => (inside(box, [px, py]) ? `M${x(px).toFixed(1)} ${y(py).toFixed(1)}${shape}` : "")).join("");

/** Filled, the higher the darker, with a line at every level. */
function Levels({ grid, x, y }: { grid: Grid; x: Line; y: Line }) {
  const { rows, columns, values } = grid;
  const finite = Array.from(values, (value) => (Number.isFinite(value) ? value : 0));
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  const probability = low >= 0 && high <= 1;
  const [from, to] = probability ? [0, 1] : [low, high];
  const levels = Array.from({ length: LEVELS }, (_, i) => from + ((i + 1) / (LEVELS + 1)) * (to - from));
  const sx = scaleLinear([0.5, columns - 0.5], x.range()).clamp(true);
  const sy = scaleLinear([0.5, rows - 0.5], y.range()).clamp(true);
  return (
    <g class="levels">
      {contours().size([columns, rows]).thresholds(levels)(finite).map(({ coordinates }) => (
        <path d={coordinates.flat().map((ring) => `M${ring.map(([a = 0, b = 0]) => `${sx(a).toFixed(1)} ${sy(b).toFixed(1)}`).join("L")}Z`).join("")} />
      ))}
    </g>
  );
}

/** From each sample along its pull; the longest has a fixed length. */
function arrows({ fake, pull, box }: GameFrame, x: Line, y: Line): string {
  const longest = Math.max(...pull.map(([dx, dy]) => Math.hypot(dx, dy)).filter(Number.isFinite), 0);
  if (!(longest > 0)) return "";
  return pull
    .map(([dx, dy], i) => {
      const [px = NaN, py = NaN] = fake[i] ?? [];
      const [u, v] = [(LONGEST * dx) / longest, (-LONGEST * dy) / longest];
      const size = Math.hypot(u, v);
      if (!(size > 2) || !inside(box, [px, py])) return "";
      const [bu, bv] = [(4 * u) / size, (4 * v) / size];
      const head = `l${f(-bu - bv * 0.6)} ${f(-bv + bu * 0.6)}m${f(bu + bv * 0.6)} ${f(bv - bu * 0.6)}l${f(-bu + bv * 0.6)} ${f(-bv - bu * 0.6)}`;
      return `M${f(x(px))} ${f(y(py))}l${f(u)} ${f(v)}${head}`;
    })
    .join("");
}

const f = (value: number): string => value.toFixed(1);

const ACROSS = 8;
const GAP = 1;

/** Images that G made, side by side. */
export function Images({ images }: { images: NonNullable<GameFrame["images"]> }) {
  const grid = useMemo(() => unpacked(images), [images]);
  const { rows: number, columns: height, depth: width } = grid;
  const down = Math.ceil(number / ACROSS);
  const size = { width: ACROSS * (width + GAP) - GAP, height: down * (height + GAP) - GAP };
  return (
    <Panel
      name="images"
      title="Made by G"
      label={`${number} images that G made`}
      height={380}
      shape={size.width / size.height}
      under={() => <Mosaic grid={grid} size={size} />}
      draw={() => null}
    />
  );
}

function Mosaic({ grid, size }: { grid: Grid; size: Size }) {
  const { rows: number, columns: height, depth: width, values } = grid;
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    const context = canvas.current?.getContext("2d");
    for (let k = 0; context && k < number; k++) {
      const image = context.createImageData(width, height);
      for (let i = 0; i < width * height; i++) {
        const grey = Math.round(255 * (1 - (values[k * width * height + i] as number)));
        image.data.set([grey, grey, grey, 255], 4 * i);
      }
      context.putImageData(image, (k % ACROSS) * (width + GAP), Math.floor(k / ACROSS) * (height + GAP));
    }
  }, [grid]);
  return <canvas ref={canvas} class="pixels" style={{ width: "100%", height: "100%" }} {...size} aria-hidden="true" />;
}
