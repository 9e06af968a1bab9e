// Norms over depth on a log axis, measured and as the law has them; the columns stand under the net's blocks.

import { scaleLinear, scaleLog } from "d3-scale";

import { Axes, decades, dots, EDGE, LETTERS, Panel, path, type Scale, type Size } from "./chart";
import { lawOf, type NetFrame, type Start } from "./protocol";
import { blockAt, namesOf } from "./Ribbon";
import { depthText } from "./sentences";
import { plainly } from "./words";

interface Props {
  start: Start;
  frame: NetFrame;
  block: number | null;
  veil?: preact.ComponentChildren;
  onBlock: (block: number) => void;
}

/** The law's norms, scaled to the measured one where it begins: the signal's at the input side, the gradient's at the loss. */
export function predicted(start: Start, frame: NetFrame, which: "signal" | "gradient"): number[] | null {
  const law = lawOf(start, frame)?.[which] ?? null;
  if (law === null) return null;
  const at = which === "signal" ? 0 : law.length - 1;
  const scale = (frame[which][at] ?? NaN) / (law[at] ?? NaN);
  return law.map((value) => value * scale);
}

export function Depth({ start, frame, block, veil, onBlock }: Props) {
  const laws = { signal: predicted(start, frame, "signal"), gradient: predicted(start, frame, "gradient") };
  const text = depthText(start, frame);
  const law = lawOf(start, frame);
  return (
    <Panel
      name="depth"
      title="Over depth"
      label={`Norms of signal and gradient over the blocks. ${text}`}
      height={236}
      veil={veil}
      onPoint={(x, { width }) => onBlock(blockAt(x, width, frame.signal.length))}
      draw={(size) => <Drawing {...size} {...{ frame, laws, block }} />}
    >
      <ul class="legend">
        {(["gradient", "signal"] as const).map((which) => (
          <li>
            <i class={`stroke ${which}`} /> |{which}|
          </li>
        ))}
        {(laws.gradient ?? laws.signal) && (
          <li>
            <i class="stroke law" /> what the law predicts{frame.step > 0 && " for the start"}
          </li>
        )}
      </ul>
      <p class="finding">{text}</p>
      {law && (
        <p class="muted source">
          {law.name}: {law.formula}. {law.source}.
        </p>
      )}
    </Panel>
  );
}

interface DrawingProps extends Size {
  frame: NetFrame;
  laws: Record<"signal" | "gradient", number[] | null>;
  block: number | null;
}

function Drawing({ width, height, frame, laws, block }: DrawingProps) {
  const count = frame.signal.length;
  const y = scaleLog(decades(frame.signal, frame.gradient, laws.signal, laws.gradient), [height - EDGE.bottom, EDGE.top]);
  const [from, to] = [EDGE.left, width - EDGE.right];
  const x = scaleLinear([0.5, count + 0.5], [from, to]);
  const apart = (to - from) / count;
  return (
    <>
      <Axes
        {...{ x, y, width, height }}
        xTicks={namesOf(count, apart).map((i) => i + 1)}
        xText={String}
        xLabel="block, from the input to the loss"
      />
      {block !== null && block < count && <line class="cursor" x1={x(block + 1)} x2={x(block + 1)} y1={EDGE.top} y2={height - EDGE.bottom} />}
      {(["signal", "gradient"] as const).map((which) => {
        const law = laws[which];
        const points = frame[which].map((value, i) => [x(i + 1), at(y, value)] as const);
        return (
          <g class={which}>
            <path class="measured broad" d={path(points)} />
            {count <= 60 && <path class="dots" d={dots(points)} />}
            {law && <path class="law" d={path(law.map((value, i) => [x(i + 1), at(y, value)] as const))} />}
            <path class="bad-dots" d={frame[which].map((value, i) => wrong(x(i + 1), y, value)).join("")} />
          </g>
        );
      })}
      {block !== null && block < count && (
        <g class="readout" transform={`translate(${x(block + 1) > width - 150 * LETTERS ? x(block + 1) - 8 : x(block + 1) + 8} ${EDGE.top + 10 * LETTERS})`}>
          {(["gradient", "signal"] as const).map((which, i) => (
            <text class={which} y={15 * LETTERS * i} text-anchor={x(block + 1) > width - 150 * LETTERS ? "end" : "start"}>
              {plainly(frame[which][block] ?? NaN)}
            </text>
          ))}
        </g>
      )}
    </>
  );
}

const at = (y: Scale, value: number): number => (value > 0 ? y(value) : NaN);

/** A zero lies on the floor and what is not finite at the ceiling, each as a cross. */
function wrong(x: number, y: Scale, value: number): string {
  if (value > 0 && value < Infinity) return "";
  const level = (y.range()[value === 0 ? 0 : 1] as number) + (value === 0 ? -4 : 4);
  return `M${(x - 3).toFixed(1)} ${level - 3}l6 6m0 -6l-6 6`;
}
