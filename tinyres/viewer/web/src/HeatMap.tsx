// A recorded training: layer by step, coloured by log10 of the gradient's norm; the chosen step as bars.

import { useLayoutEffect, useRef } from "preact/hooks";

import { toLog, toNumber, type RunLane } from "./data";
import { Curves, Loss } from "./Curves";
import { bound, colour, UNKNOWN, type Bound } from "./palette";
import type { Store } from "./state";
import { many, number } from "./text";
import { rem } from "./Thumbnail";

const SIDEWAYS = 8; // pixels from which on a press is a drag

export function Run({
  store,
  lanes,
  chosen,
  alone,
}: {
  store: Store;
  lanes: RunLane[];
  chosen: number;
  alone: boolean;
}) {
  const range = bound(lanes.flatMap((lane) => lane.log10.flat().map(toLog)));
  const last = Math.max(...lanes.map((lane) => lane.steps.length - 1));
  const step = stepOf(lanes, chosen);
  return (
    <section class="run" aria-labelledby="run-title">
      <header>
        <h2 id="run-title">The gradient during training</h2>
        <label class="scrub">
          <span>Step {step}</span>
          <input
            type="range"
            min={0}
            max={last}
            value={chosen}
            aria-label="Training step"
            aria-valuetext={shown(lanes, chosen)}
            onInput={(e) => store.set({ runStep: Number(e.currentTarget.value), said: "" })}
          />
        </label>
        <Scale range={range} bad={lanes.some((lane) => lane.log10.flat().map(toLog).some(unknown))} />
      </header>
      {lanes.map((lane) => (
        <Lane
          lane={lane}
          range={range}
          chosen={Math.min(chosen, lane.steps.length - 1)}
          store={store}
          several={lanes.length > 1}
          alone={alone}
        />
      ))}
      {lanes.some((lane) => lane.skip_share !== null) && (
        <p class="muted">
          skip: the norm of the gradient that comes back through a block's skip connection, in per cent of the sum of
          the norms through skip connection and branch, where the two rejoin at the block's input.
        </p>
      )}
    </section>
  );
}

const unknown = (log: number): boolean => Number.isNaN(log) || log === Infinity;

const stepOf = (lanes: RunLane[], chosen: number): number =>
  lanes.reduce((a, b) => (b.steps.length > a.steps.length ? b : a)).steps[chosen] ?? 0;

/** What the chosen step shows, for those who do not see it. */
export const shown = (lanes: RunLane[], chosen: number): string =>
  [`step ${stepOf(lanes, chosen)}`, ...lanes.map((lane) => told(lane, chosen, lanes.length > 1))].join("; ");

function told(lane: RunLane, chosen: number, several: boolean): string {
  const at = Math.min(chosen, lane.steps.length - 1);
  const norms = lane.log10.map((row) => toLog(row[at]));
  const loss = lane.loss?.[at];
  return [
    `${several ? `${lane.name || "run"}: ` : ""}${loss == null ? "" : `loss ${number(toNumber(loss), 3)}, `}gradient`,
    `${size(norms[0])} at ${lane.layers[0]}, ${size(norms.at(-1))} at ${lane.layers.at(-1)}`,
  ].join(" ");
}

const size = (log = NaN): string =>
  log === -Infinity ? "0" : Number.isFinite(log) ? `10 to the ${number(log)}` : "not finite";

interface LaneProps {
  lane: RunLane;
  range: Bound;
  chosen: number;
  store: Store;
  several: boolean;
  alone: boolean;
}

function Lane({ lane, range, chosen, store, several, alone }: LaneProps) {
  const column = lane.log10.map((row) => toLog(row[chosen]));
  const loss = lane.loss?.[chosen];
  const steps = lane.steps.length;
  const recorded = steps === 1 ? `1 recorded step, ${lane.steps[0]}` : `${steps} recorded steps from ${lane.steps[0]} to ${lane.steps.at(-1)}`;
  const from = useRef<{ x: number; sideways: boolean } | null>(null);
  const pick = (e: MouseEvent): void => {
    const box = (e.currentTarget as HTMLElement).getBoundingClientRect();
    const runStep = Math.min(steps - 1, Math.max(0, Math.floor(((e.clientX - box.left) / box.width) * steps)));
    store.set({ runStep, said: shown(store.run, runStep) });
  };
  // A press may begin a swipe that scrolls the page: a tap or a drag to the side chooses a step.
  const press = ({ clientX }: PointerEvent): void => void (from.current = { x: clientX, sideways: false });
  const drag = (e: PointerEvent): void => {
    const { current } = from;
    if (e.buttons === 0 || current === null) return;
    current.sideways ||= Math.abs(e.clientX - current.x) > SIDEWAYS;
    if (current.sideways) pick(e);
  };
  const few = lane.layers.length <= 16;
  const rows = lane.layers.length;
  const least = alone ? Math.max(120, Math.min(several ? 280 : 440, rows * 30)) : Math.max(84, Math.min(220, rows * 14));
  // A single map takes the window's height, as long as its rows do not become slabs.
  const height = alone && !several ? `clamp(${rem(least)}, 100dvh - ${rem(310)}, ${rem(Math.max(least, rows * 72))})` : rem(least);
  return (
    <div class="lane">
      <h3>
        {several ? lane.name || "run" : lane.name}
        <span class="muted">
          {" "}
          {many(lane.layers.length, "block")}, {recorded}
          {loss != null && `, loss ${number(toNumber(loss))}`}
        </span>
      </h3>
      <div class="lane-body">
        <div>
        <div class="heat" style={{ height }}>
          <div class={`layers ${few ? "" : "ends"}`} aria-hidden="true">
            {few
              ? lane.layers.map(named)
              : [lane.layers[0], "⋮", lane.layers.at(-1)].map(named)}
          </div>
          <div class="map" onPointerDown={press} onPointerMove={drag} onClick={pick}>
            <Cells lane={lane} range={range} />
            <div class="cursor" style={{ left: `${(100 * chosen) / steps}%`, width: `${100 / steps}%` }} />
          </div>
        </div>
        <Axis steps={lane.steps} />
        {lane.loss !== null && <Loss losses={lane.loss} chosen={chosen} />}
        {lane.curves?.map((chart) => <Curves chart={chart} chosen={chosen} />)}
        </div>
        <Column lane={lane} column={column} chosen={chosen} range={range} height={height} />
      </div>
    </div>
  );
}

/** Where there is no room for a name, its end is what tells it from the others. */
const named = (layer?: string) => (
  <span title={layer}>
    <bdi>{layer}</bdi>
  </span>
);

/** Under the map: what runs from left to right. */
function Axis({ steps }: { steps: number[] }) {
  return (
    <p class="axis" aria-hidden="true">
      <span>{steps[0]}</span> <span>training step</span> <span>{steps.at(-1)}</span>
    </p>
  );
}

const WIDEST = 8192; // pixels that every browser draws

/** One pixel a cell, of very long trainings one for several steps; the browser makes it large. */
function Cells({ lane, range }: { lane: RunLane; range: Bound }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [rows, steps] = [lane.layers.length, lane.steps.length];
  const columns = Math.min(WIDEST, steps);
  useLayoutEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || !rows) return;
    const image = context.createImageData(columns, rows);
    lane.log10.forEach((row, i) => {
      for (let j = 0; j < columns; j++)
        image.data.set([...colour(toLog(row[Math.floor((j * steps) / columns)]), range), 255], 4 * (i * columns + j));
    });
    context.putImageData(image, 0, 0);
  }, [lane]);
  return (
    <canvas
      ref={canvas}
      width={columns}
      height={rows}
      role="img"
      aria-label={`Gradient norms during training${lane.name ? ` of ${lane.name}` : ""}: ${many(rows, "row")}, from ${lane.layers[0]} at the top to ${lane.layers.at(-1)}, and ${many(steps, "column")}, step ${lane.steps[0]} to ${lane.steps.at(-1)}; log10 ‖g‖ from ${number(range.low, 3)} (dark) to ${number(range.high, 3)} (light)`}
    />
  );
}

/** The chosen step: a bar for each layer, as a list that can be read. */
function Column({
  lane,
  column,
  chosen,
  range,
  height,
}: {
  lane: RunLane;
  column: number[];
  chosen: number;
  range: Bound;
  height: string;
}) {
  const few = column.length <= 16; // each bar stands beside its row of the map; of more, the list scrolls
  const length = (value: number): number =>
    Number.isFinite(value) ? (100 * (value - range.low)) / Math.max(1e-9, range.high - range.low) : 0;
  const shared = lane.skip_share === null ? "" : "shared";
  return (
    <div class="bars">
      <p class={`head ${shared}`} aria-hidden="true">
        <span>block</span>
        <span>gradient, step {lane.steps[chosen]}</span>
        <span>log₁₀‖g‖</span>
        {shared && <span>skip</span>}
      </p>
    <ol
      class={`column ${shared} ${few ? "few" : ""}`}
      style={few ? { minHeight: height } : { height }}
      tabIndex={0}
      aria-label={`Layers at step ${lane.steps[chosen]}: log10 of the gradient norm`}
    >
      {column.map((value, i) => {
        const share = lane.skip_share?.[i]?.[chosen];
        return (
          <li>
            <span class="layer">{named(lane.layers[i])}</span>
            <span class="track">
              <i
                style={{
                  width: `${Math.max(1, length(value))}%`,
                  background: `rgb(${colour(value, range).join(" ")})`,
                }}
              />
            </span>
            <span class={`value ${Number.isFinite(value) ? "" : "bad"}`}>{number(value)}</span>
            {lane.skip_share !== null && (
              <span class="share">
                {share != null && <span class="hidden">skip </span>}
                {share == null ? "" : `${Math.round(100 * toNumber(share))} %`}
              </span>
            )}
          </li>
        );
      })}
    </ol>
    </div>
  );
}

function Scale({ range, bad }: { range: Bound; bad: boolean }) {
  const stops = Array.from(
    { length: 9 },
    (_, i) => `rgb(${colour(range.low + (i / 8) * (range.high - range.low), range).join(" ")})`,
  );
  return (
    <p class="scale">
      log₁₀‖g‖ <span>{number(range.low)}</span>
      <i style={{ background: `linear-gradient(to right, ${stops.join(", ")})` }} />
      <span>{number(range.high)}</span>
      {bad && (
        <>
          <i class="chip" style={{ background: `rgb(${UNKNOWN.join(" ")})` }} /> <span>not finite</span>
        </>
      )}
    </p>
  );
}
