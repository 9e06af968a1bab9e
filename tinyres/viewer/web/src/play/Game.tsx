// Two players: what each loses, what gradient reaches G, and the path of the two in their plane.

import { scaleLinear, scaleLog } from "d3-scale";

import { many, number } from "../text";
import { Axes, decades, dots, EDGE, extent, Panel, path, type Size } from "./chart";
import type { GameFrame } from "./protocol";
import type { Seen } from "./state";
import { probeText, whereText } from "./sentences";
import { Images, Samples } from "./Plane";
import { Curves } from "./Training";

type Veil = (panel: string) => preact.ComponentChildren;

export function Game({ seen, frame, veil }: { seen: Seen; frame: GameFrame; veil: Veil }) {
  const { history } = seen;
  const { step, orbit, probe, modes } = frame;
  const players = (d: string, g: string) => [
    { column: d, name: "D", class: "player-d" },
    { column: g, name: "G", class: "player-g" },
  ];
  return (
    <div class="game">
      <div class="column">
        <Samples frame={frame} height={460} veil={veil("plane")}>
          {modes && <Modes modes={modes} begun={step > 0} />}
        </Samples>
        {frame.images && <Images images={frame.images} />}
        <Curves name="losses" title="Losses" height={190} curves={players("d", "g")} {...{ history, step }} veil={veil("losses")} />
      </div>
      <div class="column">
        {orbit && <Orbit orbit={orbit} step={step} veil={veil("orbit")} />}
        {probe && probe.confidence.length > 1 && <Probe frame={frame} probe={probe} veil={veil("probe")} />}
        <Curves
          name="gradients"
          title="Gradients"
          height={190}
          log
          curves={players("gradient_d", "gradient_g")}
          {...{ history, step }}
          veil={veil("gradients")}
        />
      </div>
    </div>
  );
}

function Modes({ modes: { found, of }, begun }: { modes: NonNullable<GameFrame["modes"]>; begun: boolean }) {
  return (
    <p class="modes">
      <b>{number(found)}</b> of {of} modes {begun ? "found" : "hit by chance, before the first step"}{" "}
      <span class="beads" aria-hidden="true">
        {Array.from({ length: Math.min(of, 30) }, (_, i) => (
          <i class={i < found ? "found" : ""} />
        ))}
      </span>
    </p>
  );
}

interface ProbeProps {
  frame: GameFrame;
  probe: NonNullable<GameFrame["probe"]>;
  veil: preact.ComponentChildren;
}

function Probe({ frame, probe, veil }: ProbeProps) {
  const text = probeText(frame);
  return (
    <Panel
      name="probe"
      title="Gradient that G gets, by D’s confidence"
      label={`Gradient against the confidence of D. ${text}`}
      height={230}
      veil={veil}
      draw={(size) => <Probed {...size} probe={probe} />}
    >
      <ul class="legend">
        <li><i class="stroke gradient" /> measured</li>
        {probe.closed && <li><i class="stroke law" /> closed form</li>}
      </ul>
      <p class="finding">{text}</p>
    </Panel>
  );
}

function Probed({ width, height, probe }: Size & { probe: ProbeProps["probe"] }) {
  const x = scaleLinear(extent(probe.confidence), [EDGE.left, width - EDGE.right]);
  const y = scaleLog(decades(probe.measured, probe.closed), [height - EDGE.bottom, EDGE.top]);
  const points = (values: number[]) => values.map((v, i) => [x(probe.confidence[i] as number), v > 0 ? y(v) : NaN] as const);
  return (
    <>
      <Axes {...{ x, y, width, height }} xLabel="how sure D is that the sample is real" />
      <g class="gradient">
        <path class="measured broad" d={path(points(probe.measured))} />
        <path class="dots" d={dots(points(probe.measured))} />
        {probe.closed && <path class="law" d={path(points(probe.closed))} />}
      </g>
    </>
  );
}

function Orbit({ orbit, step, veil }: { orbit: [number, number][]; step: number; veil: preact.ComponentChildren }) {
  const text = `At step ${step} they are at ${whereText(orbit)}.`;
  return (
    <Panel
      name="orbit"
      title="Where the two are"
      label={`The path of the two players over ${many(orbit.length, "step")}: G’s parameter θ to the right, D’s ψ upwards. ${text}`}
      height={280}
      veil={veil}
      draw={({ width, height }) => {
        const reach = Math.max(1e-9, ...orbit.flat().filter(Number.isFinite).map(Math.abs)) * 1.05;
        const scale = Math.min((width - EDGE.left - EDGE.right) / 2, (height - EDGE.top - EDGE.bottom) / 2) / reach;
        const [cx, cy] = [(EDGE.left + width - EDGE.right) / 2, (EDGE.top + height - EDGE.bottom) / 2];
        const [w, h] = [(width - EDGE.left - EDGE.right) / 2 / scale, (height - EDGE.top - EDGE.bottom) / 2 / scale];
        const x = scaleLinear([-w, w], [EDGE.left, width - EDGE.right]);
        const y = scaleLinear([-h, h], [height - EDGE.bottom, EDGE.top]);
        const points = orbit.map(([a, b]) => [x(a), y(b)] as const);
        return (
          <>
            <Axes {...{ x, y, width, height }} xLabel="G’s parameter θ" yLabel="D’s ψ" />
            <path class="aim" d={`M${cx - 6} ${cy}h12m-6 -6v12`} />
            <path class="orbit-path" d={path(points)} />
            <path class="orbit-now" d={dots(points.slice(-1))} />
          </>
        );
      }}
    >
      <p class="finding">{text}</p>
    </Panel>
  );
}
