// The net from left to right: what passes through each block, and the two routes of each residual sum.

import { area, curveMonotoneX } from "d3-shape";
import { useContext } from "preact/hooks";

import { bound, colour, type Bound } from "../palette";
import { byTouch } from "../pinch";
import { Tools } from "../Tools";
import { Computing, COMPUTING, EDGE, LETTERS, Panel, type Size } from "./chart";
import type { NetFrame, Start } from "./protocol";
import type { State, View } from "./state";
import type { Store } from "./store";
import { blockText, made } from "./sentences";
import { Ramp } from "./Ramp";

const HEIGHT = 182;
const BOX = { top: 76, height: 68 };
const MIDDLE = BOX.top + BOX.height / 2;
const THICK = 18; // of both routes together
const RIVER = 28;
const ROOMY = 40; // pixels for a block, from which on its routes are drawn as arcs; rivers show them where there is less

const VIEWS: [View, string, string][] = [
  ["both", "Both", "Signal above, gradient below"],
  ["signal", "Signal →", "The norm of each block's output"],
  ["gradient", "← Gradient", "The norm of the gradient at each block's output"],
  ["dead", "Dead units", "The share of units that are zero for the whole batch"],
];

interface Props {
  store: Store;
  state: State;
  start: Start;
  frame: NetFrame;
  /** Somebody is to guess what the picture would show: the net is there, its numbers are not. */
  blank: boolean;
}

export function Ribbon({ store, state, start, frame, blank }: Props) {
  const blocks = start.net?.blocks ?? [];
  const scales = { signal: whole(frame.signal), gradient: whole(frame.gradient) };
  const tools = (
    <Tools class="segments" label="Colour of the blocks">
      {VIEWS.map(([view, text, title]) => (
        <button type="button" title={title} aria-pressed={state.view === view} onClick={() => store.set({ view })}>
          {text}
        </button>
      ))}
    </Tools>
  );
  const { block } = state;
  const routes = frame.skip.some((value) => value !== null);
  return (
    <Panel
      name="net"
      title="The net"
      label={`${made(start)}, from the input to the loss. ${blank ? "" : blockText(start, frame, 0)}`}
      height={HEIGHT}
      tools={!blank && tools}
      onPoint={blank ? undefined : (x, { width }) => store.set({ block: blockAt(x, width, blocks.length) })}
      draw={(size) => <Drawing {...size} {...{ start, frame, scales, blank, view: state.view, block }} />}
    >
      {!blank && <Chooser store={store} start={start} frame={frame} block={block} />}
      {!blank && <Legend view={state.view} scales={scales} routes={routes} />}
      <p class="muted source">{made(start)}, between the first layer and the head.</p>
    </Panel>
  );
}

/** The block under a place of the picture. */
export function blockAt(x: number, width: number, count: number): number {
  const share = (x - EDGE.left) / (width - EDGE.left - EDGE.right);
  return Math.min(count - 1, Math.max(0, Math.floor(share * count)));
}

const whole = (values: number[]): Bound => {
  const { low, high } = bound(values.map(Math.log10));
  return { low: Math.floor(low + 1e-9), high: Math.ceil(high - 1e-9) };
};

interface DrawingProps extends Size {
  start: Start;
  frame: NetFrame;
  scales: Record<"signal" | "gradient", Bound>;
  view: View;
  block: number | null;
  blank: boolean;
}

function Drawing({ width, start, frame, scales, view, block, blank }: DrawingProps) {
  const blocks = start.net?.blocks ?? [];
  const count = Math.max(1, blocks.length);
  const apart = (width - EDGE.left - EDGE.right) / count;
  const box = apart > ROOMY ? Math.min(apart * 0.5, 56) : Math.max(apart - (apart > 3 ? 1 : 0), 0.8);
  const left = (i: number): number => EDGE.left + (i + 0.5) * apart - box / 2;
  const [skips, branches, stream] = routesOf(frame, count, apart, box, blank);
  return (
    <>
      <path class="stream" d={stream} />
      <path class="branch-route" d={branches} />
      <path class="skip-route" d={skips} />
      {apart > ROOMY && <path class="sums" d={sums(frame, apart)} />}
      {blocks.map(({ kind }, i) => (
        <g key={i} class={`block ${kind}`} transform={`translate(${left(i).toFixed(2)} ${BOX.top})`}>
          {(blank ? BLANK : halves(view, frame, scales, i)).map(([top, height, fill]) => (
            <rect y={top} width={box} height={height} fill={fill} />
          ))}
          {box > 5 && <rect class="outline" width={box} height={BOX.height} rx={2} />}
        </g>
      ))}
      <g class="ends">
        {labels(view).map(([text, y]) => (
          <text x={EDGE.left - 8} y={y + 4} text-anchor="end">
            {text}
          </text>
        ))}
        {!skips && (
          <text class="soft" x={EDGE.left} y={MIDDLE - BOX.height / 2 - 18}>
            {blocks.some((each) => each.routes)
              ? "What the two routes carry is not finite, or nothing."
              : width < 560 * LETTERS
                ? "No second route"
                : "No second route: everything passes through every block."}
          </text>
        )}
        {skips && apart <= ROOMY && (
          <>
            <text x={EDGE.left - 8} y={SKIP + 4} text-anchor="end">skip</text>
            <text x={EDGE.left - 8} y={BRANCH + 4} text-anchor="end">branch</text>
          </>
        )}
      </g>
      {block !== null && block < count && (
        <rect
          class="picked"
          x={EDGE.left + block * apart}
          width={Math.max(apart, 3)}
          y={6}
          height={HEIGHT - 14}
          rx={3}
        />
      )}
      {namesOf(count, apart).map((i) => (
        <text class="index" x={EDGE.left + (i + 0.5) * apart} y={BOX.top + BOX.height + 16} text-anchor="middle">
          {i + 1}
        </text>
      ))}
    </>
  );
}

/** Which blocks have their number under them. */
export function namesOf(count: number, apart: number): number[] {
  const every = [1, 2, 5, 10, 20, 50, 100].find((n) => n * apart >= 26 * LETTERS) ?? 200;
  return Array.from({ length: count }, (_, i) => i).filter((i) => i === 0 || (i + 1) % every === 0);
}

const labels = (view: View): [string, number][] =>
  view === "both"
    ? [["signal", MIDDLE - BOX.height / 4], ["gradient", MIDDLE + BOX.height / 4]]
    : [[view === "dead" ? "units" : view, MIDDLE]];

const BLANK: Part[] = [[0, BOX.height, "var(--raised)"]];

type Part = [top: number, height: number, fill: string];

function halves(view: View, frame: NetFrame, scales: DrawingProps["scales"], i: number): Part[] {
  const full = BOX.height;
  const of = (which: "signal" | "gradient"): string =>
    `rgb(${colour(Math.log10(frame[which][i] ?? NaN), scales[which]).join(" ")})`;
  if (view === "both") return [[0, full / 2, of("signal")], [full / 2, full / 2, of("gradient")]];
  if (view !== "dead") return [[0, full, of(view)]];
  const dead = frame.dead[i];
  if (dead === null || dead === undefined) return [[0, full, "var(--raised)"]];
  return [[0, full * (1 - dead), "var(--alive)"], [full * (1 - dead), full * dead, "var(--dead)"]];
}

const [SKIP, BRANCH] = [26, 56]; // the middles of the two rivers

/** The paths of skips, branches and undivided stream: arcs where there is room, rivers where there is not. */
function routesOf(frame: NetFrame, count: number, apart: number, box: number, blank: boolean): [string, string, string] {
  let [skips, branches, stream] = ["", "", ""];
  let run: Bank[] = [];
  const flow = (): void => {
    skips += river(SKIP, run, (share) => share);
    branches += river(BRANCH, run, (share) => 1 - share);
    run = [];
  };
  for (let i = 0; i < count; i++) {
    const [from, to] = [EDGE.left + i * apart, EDGE.left + (i + 1) * apart];
    const share = blank && frame.skip[i] !== null ? 0.5 : shareOf(frame.skip[i] ?? null, frame.branch[i] ?? null);
    if (share === null) {
      flow();
      stream += band(from, to, MIDDLE, 4);
    } else if (apart > ROOMY) {
      skips += arc(from, to, thick(share), Math.min(apart * 0.4, (apart - box) / 2 + 4));
      branches += band(from, to, MIDDLE, thick(1 - share));
    } else {
      if (run.length === 0) run.push([from, share]);
      run.push([(from + to) / 2, share]);
      if (i === count - 1 || shareOf(frame.skip[i + 1] ?? null, frame.branch[i + 1] ?? null) === null) run.push([to, share]);
    }
  }
  flow();
  return [skips, branches, stream];
}

type Bank = [x: number, share: number];

function shareOf(skip: number | null, branch: number | null): number | null {
  if (skip === null || branch === null || !(skip + branch > 0) || !Number.isFinite(skip + branch)) return null;
  return skip / (skip + branch);
}

/** As wide at each block as what it carries there. */
function river(middle: number, banks: Bank[], part: (share: number) => number): string {
  const half = (bank: Bank): number => (RIVER * part(bank[1])) / 2;
  const shape = area<Bank>().x(([x]) => x).y0((bank) => middle - half(bank)).y1((bank) => middle + half(bank));
  return shape.curve(curveMonotoneX).digits(1)(banks) ?? "";
}

/** A circle with a plus where the routes of a block meet again. */
function sums({ skip }: NetFrame, apart: number): string {
  const at = skip.flatMap((value, i) => (value === null ? [] : [EDGE.left + (i + 1) * apart]));
  return at.map((x) => `M${f(x - 7)} ${MIDDLE}a7 7 0 1 0 14 0a7 7 0 1 0 -14 0m3.5 0h7m-3.5 -3.5v7`).join("");
}

const thick = (share: number): number => (share > 0 ? Math.max(0.8, THICK * share) : 0);
const f = (value: number): string => value.toFixed(2);
const band = (from: number, to: number, y: number, height: number): string =>
  `M${f(from)} ${f(y - height / 2)}H${f(to)}V${f(y + height / 2)}H${f(from)}Z`;

/** From the middle of the stream up over the block and down again. */
function arc(from: number, to: number, width: number, reach: number): string {
  const [half, top] = [width / 2, 34];
  const edge = (up: number, inset: number): string => {
    const [a, b, y] = [from + inset, to - inset, top + up];
    return `${f(a)} ${MIDDLE}C${f(a)} ${f(y)} ${f(a)} ${f(y)} ${f(a + reach)} ${f(y)}H${f(b - reach)}C${f(b)} ${f(y)} ${f(b)} ${f(y)} ${f(b)} ${MIDDLE}`;
  };
  const inner = (): string => {
    const [a, b, y] = [from + width, to - width, top + half];
    const bend = Math.max(0, reach - half);
    return `L${f(b)} ${MIDDLE}C${f(b)} ${f(y)} ${f(b)} ${f(y)} ${f(b - bend)} ${f(y)}H${f(a + bend)}C${f(a)} ${f(y)} ${f(a)} ${f(y)} ${f(a)} ${MIDDLE}Z`;
  };
  return `M${edge(-half, 0)}${inner()}`;
}

const BY_TOUCH = "Tap a block to read its numbers, or drag along the net.";
const BY_MOUSE = "Point at a block to read its numbers; Tab and the arrow keys do it too.";

/** One block at a time, with its numbers; a slider, so that keys and screen readers have it. */
function Chooser({ store, start, frame, block }: Omit<Props, "state" | "blank"> & { block: number | null }) {
  const count = start.net?.blocks.length ?? 0;
  const computing = useContext(Computing);
  const text = block === null || block >= count ? null : blockText(start, frame, block);
  return (
    <div class="chooser">
      <input
        class="hidden"
        type="range"
        min={0}
        max={count - 1}
        value={block ?? 0}
        aria-label="Block"
        aria-valuetext={computing ? COMPUTING : (text ?? `block 1 of ${count}`)}
        onInput={(e) => store.set({ block: Number(e.currentTarget.value) })}
        onFocus={() => store.state.block === null && store.set({ block: 0 })}
      />
      <p>{text ?? <span class="muted">{byTouch() ? BY_TOUCH : BY_MOUSE}</span>}</p>
    </div>
  );
}

function Legend({ view, scales, routes }: { view: View; scales: DrawingProps["scales"]; routes: boolean }) {
  return (
    <ul class="legend">
      {(view === "both" || view === "signal") && (
        <li>
          |signal| <Ramp range={scales.signal} />
        </li>
      )}
      {(view === "both" || view === "gradient") && (
        <li>
          |gradient| <Ramp range={scales.gradient} />
        </li>
      )}
      {view === "dead" && (
        <li>
          <i class="swatch dead" /> dead <i class="swatch alive" /> alive
        </li>
      )}
      {routes && (
        <li>
          <i class="swatch skip" /> skip <i class="swatch branch" /> branch, as wide as what they carry back
        </li>
      )}
    </ul>
  );
}
