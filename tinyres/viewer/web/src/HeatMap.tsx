// A recorded training: layer by step, coloured by log10 of the gradient's norm; the chosen step as bars.

import { useLayoutEffect, useRef } from "preact/hooks";

import { toLog, toNumber, type RunLane } from "./data";
import { Loss } from "./Loss";
import { bound, colour, UNKNOWN, type Bound } from "./palette";
import type { Store } from "./state";
import { number } from "./text";

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
  const step = lanes.find((lane) => lane.steps.length - 1 === last)?.steps[chosen] ?? 0;
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
            aria-valuetext={`step ${step}`}
            onInput={(e) => store.set({ runStep: Number(e.currentTarget.value) })}
          />
        </label>
        <Scale range={range} />
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
    </section>
  );
}

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
  const pick = (e: PointerEvent): void => {
    if (e.type === "pointermove" && e.buttons === 0) return;
    const box = (e.currentTarget as HTMLElement).getBoundingClientRect();
    store.set({ runStep: Math.min(steps - 1, Math.max(0, Math.floor(((e.clientX - box.left) / box.width) * steps))) });
  };
  const few = lane.layers.length <= 16;
  const height = alone
    ? Math.max(120, Math.min(several ? 280 : 520, lane.layers.length * 30))
    : Math.max(84, Math.min(220, lane.layers.length * 14));
  return (
    <div class="lane">
      <h3>
        {several ? lane.name || "run" : lane.name}
        <span class="muted">
          {" "}
          {lane.layers.length} blocks, {steps} recorded steps from {lane.steps[0]} to {lane.steps.at(-1)}
          {loss != null && `, loss ${number(toNumber(loss))}`}
        </span>
      </h3>
      <div class="lane-body">
        <div>
        <div class="heat" style={{ height: `${height}px` }}>
          <div class={`layers ${few ? "" : "ends"}`} aria-hidden="true">
            {few
              ? lane.layers.map((layer) => <span title={layer}>{layer}</span>)
              : [lane.layers[0], "⋮", lane.layers.at(-1)].map((layer) => <span title={layer}>{layer}</span>)}
          </div>
          <div class="map" onPointerDown={pick} onPointerMove={pick}>
            <Cells lane={lane} range={range} />
            <div class="cursor" style={{ left: `${(100 * chosen) / steps}%`, width: `${100 / steps}%` }} />
          </div>
        </div>
        <Axis steps={lane.steps} />
        {lane.loss !== null && <Loss losses={lane.loss} chosen={chosen} />}
        </div>
        <Column lane={lane} column={column} chosen={chosen} range={range} height={height} />
      </div>
    </div>
  );
}

/** Under the map: what runs from left to right. */
function Axis({ steps }: { steps: number[] }) {
  return (
    <p class="axis" aria-hidden="true">
      <span>{steps[0]}</span> <span>training step</span> <span>{steps.at(-1)}</span>
    </p>
  );
}

/** One pixel a cell; the browser makes it large. */
function Cells({ lane, range }: { lane: RunLane; range: Bound }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [rows, columns] = [lane.layers.length, lane.steps.length];
  useLayoutEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || !rows) return;
    const image = context.createImageData(columns, rows);
    lane.log10.forEach((row, i) =>
      row.forEach((value, j) => {
        image.data.set([...colour(toLog(value), range), 255], 4 * (i * columns + j));
      }),
    );
    context.putImageData(image, 0, 0);
  }, [lane]);
  return (
    <canvas
      ref={canvas}
      width={columns}
      height={rows}
      role="img"
      aria-label={`log10 of the gradient norm, ${rows} layers by ${columns} steps`}
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
  height: number;
}) {
  const few = Math.min(16, column.length); // rows that are shown without scrolling
  const length = (value: number): number =>
    Number.isFinite(value) ? (100 * (value - range.low)) / Math.max(1e-9, range.high - range.low) : 0;
  return (
    <ol
      class={`column ${lane.skip_share === null ? "" : "shared"}`}
      style={{ maxHeight: `${Math.max(height, few * 16)}px` }}
      tabIndex={0}
      aria-label={`Layers at step ${lane.steps[chosen]}: log10 of the gradient norm`}
    >
      {column.map((value, i) => {
        const share = lane.skip_share?.[i]?.[chosen];
        return (
          <li>
            <span class="layer">{lane.layers[i]}</span>
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
              <span class="share">{share == null ? "" : `skip ${Math.round(100 * toNumber(share))} %`}</span>
            )}
          </li>
        );
      })}
    </ol>
  );
}

function Scale({ range }: { range: Bound }) {
  const stops = Array.from(
    { length: 9 },
    (_, i) => `rgb(${colour(range.low + (i / 8) * (range.high - range.low), range).join(" ")})`,
  );
  return (
    <p class="scale">
      log₁₀‖g‖ <span>{number(range.low)}</span>
      <i style={{ background: `linear-gradient(to right, ${stops.join(", ")})` }} />
      <span>{number(range.high)}</span>
      <i class="chip" style={{ background: `rgb(${UNKNOWN.join(" ")})` }} /> <span>not finite</span>
    </p>
  );
}
