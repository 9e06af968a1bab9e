// An array as a small heat map: diverging colours about 0, numbers in the cells when they are few.

import { magnitude, placeOf, type View } from "./arrays";
import { byTouch } from "./pinch";
import { number, shapeText } from "./text";

interface Props {
  view: View | null;
  label: string;
  /** The magnitude that gets the full colour, if several arrays are compared. */
  scale?: number;
  chosen?: number | undefined;
  onChoose?: ((element: number) => void) | undefined;
  caption?: boolean;
}

export function Thumbnail({ view, label, scale, chosen, onChoose, caption = true }: Props) {
  if (view === null) return <span class="absent">not kept</span>;
  if (view.whole?.length === 0) return <span class="absent">no elements</span>;
  if (view.whole?.length === 1 && chosen === undefined)
    return (
      <span class={`figure ${Number.isFinite(view.whole[0]) ? "" : "bad"}`}>{number(view.whole[0] as number)}</span>
    );
  return (
    <figure class="thumbnail">
      {view.heads.length ? (
        <Heads view={view} label={label} />
      ) : (
        <Cells view={view} label={label} scale={scale ?? magnitude(view)} chosen={chosen} onChoose={onChoose} />
      )}
      {caption && <Facts view={view} />}
    </figure>
  );
}

/** The heads of attention side by side, queries down and keys across, in one scale. */
function Heads({ view, label }: { view: View; label: string }) {
  const most = Math.max(...view.heads.map((cells) => magnitude({ ...view, cells })));
  return (
    <div class="heads">
      {view.heads.map((cells, h) => (
        <div>
          <Cells view={{ ...view, cells, columns: view.headColumns }} label={`${label}, head ${h + 1}`} scale={most} />
          <span>head {h + 1}</span>
        </div>
      ))}
    </div>
  );
}

/** Grows with the letters of the page. */
export const rem = (pixels: number): string => `${pixels / 16}rem`;

const READABLE = 0.85; // of its size: numbers in cells are no smaller, and what has no room scrolls
const [FINGER, ROOM] = [24, 236]; // pixels of a cell that a finger hits; of what is beside the names on a phone

function Cells({
  view,
  label,
  scale,
  chosen,
  onChoose,
}: Required<Pick<Props, "label">> & {
  view: View;
  scale: number;
  chosen?: number | undefined;
  onChoose?: Props["onChoose"];
}) {
  const { cells, columns } = view;
  const rows = Math.ceil(cells.length / columns);
  const written = view.whole !== null && columns <= 6 && rows <= 8;
  const text = written ? alike(cells) : short;
  const aimed = onChoose !== undefined && view.whole !== null && byTouch();
  const side = aimed ? Math.max(11, Math.min(FINGER, Math.floor(ROOM / columns))) : 11;
  const [width, height] = written ? [columns > 4 ? 40 : 48, aimed ? FINGER : 22] : [side, side];
  return (
    <svg
      class="cells"
      style={{ width: rem(columns * width), minWidth: rem(written ? columns * width * READABLE : 0) }}
      viewBox={`0 0 ${columns * width} ${rows * height}`}
      role="img"
      aria-label={`${label}: ${described(view)}`}
    >
      {cells.map((cell, i) => {
        const [x, y] = [(i % columns) * width, Math.floor(i / columns) * height];
        const share = scale > 0 ? Math.min(1, Math.abs(cell) / scale) : 0;
        const tone = Number.isFinite(cell) ? (cell < 0 ? "negative" : "positive") : "bad";
        const strong = share > 0.55 ? " strong" : "";
        return (
          <g
            class={`cell ${tone}${strong}${i === chosen ? " chosen" : ""}`}
            style={{ "--share": `${Math.round(100 * share)}%` }}
            onClick={onChoose && (() => onChoose(i))}
          >
            <rect x={x + 0.5} y={y + 0.5} width={width - 1} height={height - 1} rx={2} />
            {written && (
              <text x={x + width / 2} y={y + height / 2 + 4} {...fitted(text(cell), width)}>
                {text(cell)}
              </text>
            )}
            {view.whole !== null && <title>{`[${placeOf(view.shape, i).join(", ")}] = ${String(cell)}`}</title>}
          </g>
        );
      })}
    </svg>
  );
}

/** What fits into a cell. */
function short(value: number): string {
  const text = number(value);
  return text.length <= 6
    ? text
    : number(Number(value.toPrecision(Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5 ? 2 : 3)));
}

/** The numbers of one array with as many decimals each; where they are too unlike for that, each as it fits. */
function alike(cells: number[]): (value: number) => string {
  const finite = cells.filter((value) => Number.isFinite(value) && value !== 0);
  const exponential = finite.some((value) => short(value).includes("e"));
  const places = finite.map((value) => short(value).split(".")[1]?.length ?? 0);
  const whole = Math.max(0, ...finite.map((value) => Math.trunc(Math.abs(value)).toString().length));
  const decimals = Math.min(Math.max(0, ...places), Math.max(1, 5 - whole));
  const lost = finite.some((value) => Number(value.toFixed(decimals)) === 0);
  if (exponential || lost) return short;
  return (value) => (Number.isFinite(value) ? value.toFixed(decimals).replaceAll("-", "−") : short(value));
}

/** Long numbers are set narrower. */
const fitted = (text: string, width: number): object =>
  text.length * 6.6 > width - 4 ? { textLength: width - 6, lengthAdjust: "spacingAndGlyphs" } : {};

function Facts({ view }: { view: View }) {
  const bad = view.bad > 0 && <b class="bad">{view.bad} not finite</b>;
  return (
    <figcaption>
      {view.whole === null ? (
        <>
          <span>norm {number(view.norm)}</span>{" "}
          <span class="number">
            {number(view.low, 3)} … {number(view.high, 3)}
          </span>{" "}
          <span>{Math.round(100 * view.zeros)} % zeros</span> {bad}
          <span>{view.axes}</span>
        </>
      ) : (
        <>
          <span>norm {number(view.norm)}</span> {bad}
        </>
      )}
    </figcaption>
  );
}

function described(view: View): string {
  const { whole, low, high } = view;
  const few = whole !== null && whole.length <= 8;
  const zeros = `${Math.round(100 * view.zeros)} % zeros`;
  const values = few
    ? `values ${whole.map((v) => number(v)).join(", ")}`
    : `from ${number(low)} to ${number(high)}, ${zeros}`;
  return `${shapeText(view.shape)}, ${values}, norm ${number(view.norm)}${view.axes ? `; ${view.axes}` : ""}${view.bad ? `, ${view.bad} not finite` : ""}`;
}
