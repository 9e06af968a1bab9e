// Arrays as they are shown: cells in rows and columns, and what is known of the whole.

import { toNumber, type Trace } from "./data";

export interface View {
  shape: number[];
  /** Every element in row-major order, or null where only the thumbnail is kept. */
  whole: number[] | null;
  cells: number[];
  columns: number;
  /** What a thumbnail's rows and columns stand for, in words; nothing where every element has its cell. */
  axes: string;
  /** Of the weights of attention: the cells of each head, in the same columns. */
  heads: number[][];
  headColumns: number;
  low: number;
  high: number;
  norm: number;
  zeros: number;
  bad: number;
}

const WIDEST = 12;
const made = new WeakMap<Trace, Map<number, View>>();

export function viewOf(trace: Trace, index: number): View {
  let views = made.get(trace);
  if (views === undefined) made.set(trace, (views = new Map()));
  let view = views.get(index);
  if (view === undefined) views.set(index, (view = build(trace, index)));
  return view;
}

function build(trace: Trace, index: number): View {
  const array = trace.arrays[index];
  if (array === undefined) throw new RangeError(`array ${index} of ${trace.arrays.length}`);
  const bad = array.bad ?? 0;
  if ("t" in array) {
    const cut = cutOf(array.s);
    const cells = once(shaded(array.t, toNumber(array.tlo), toNumber(array.thi), bad), cut.rows, cut.columns);
    const [queries, keys] = array.s.slice(-2) as [number, number];
    return {
      shape: array.s,
      whole: null,
      cells,
      columns: Math.min(CELLS, cut.columns),
      axes: array.h ? "the first sample: queries down, keys across" : cut.text,
      heads: (array.h ?? []).map((head) =>
        once(shaded(head, toNumber(array.hlo ?? 0), toNumber(array.hhi ?? 0), bad), queries, keys),
      ),
      headColumns: Math.min(CELLS, keys),
      low: toNumber(array.lo),
      high: toNumber(array.hi),
      norm: toNumber(array.n),
      zeros: array.z,
      bad,
    };
  }
  const whole = array.v.map(toNumber);
  const finite = whole.filter(Number.isFinite);
  return {
    shape: array.s,
    whole,
    cells: whole,
    columns: columnsOf(array.s),
    axes: "",
    heads: [],
    headColumns: 0,
    low: finite.length ? Math.min(...finite) : NaN,
    high: finite.length ? Math.max(...finite) : NaN,
    norm: toNumber(array.n),
    zeros: whole.length ? whole.filter((v) => v === 0).length / whole.length : 0,
    bad,
  };
}

const CELLS = 8; // rows and columns of a thumbnail

/** How an array is cut into rows and columns, as `thumbnail` of summaries.py does. */
function cutOf(shape: number[]): { rows: number; columns: number; text: string } {
  const front = Math.min(shape.findIndex((n) => n > 1), shape.length - 1);
  const rest = shape.slice(front);
  const size = rest.reduce((a, b) => a * b, 1);
  if (rest.length === 1)
    return { rows: size, columns: CELLS, text: `its ${size} elements, row by row${each(size, CELLS * CELLS)}` };
  const along = (from: number, to: number): string =>
    to - from > 1 ? `axes ${front + from} to ${front + to - 1}` : `axis ${front + from}`;
  const [split, end] = rest.length === 3 ? [2, 3] : [1, rest.length > 3 && (rest[1] as number) >= CELLS ? 2 : rest.length];
  const [rows, columns] = [rest.slice(0, split), rest.slice(split, end)].map((part) => part.reduce((a, b) => a * b, 1)) as [number, number];
  const mean = end < rest.length ? `, the mean over ${along(end, rest.length)}` : "";
  return {
    rows,
    columns,
    text: `down: ${along(0, split)}${each(rows, CELLS)}; across: ${along(split, end)}${each(columns, CELLS)}${mean}`,
  };
}

function each(entries: number, cells: number): string {
  const least = Math.floor(entries / cells);
  return entries <= cells ? "" : `, ${least}${entries % cells ? ` or ${least + 1}` : ""} to a cell`;
}

/** The file repeats a row or a column where there are fewer than eight; here each stands once. */
function once(cells: number[], rows: number, columns: number): number[] {
  const kept = (entries: number): number[] =>
    Array.from({ length: Math.min(CELLS, entries) }, (_, i) => (entries < CELLS ? Math.ceil((CELLS * i) / entries) : i));
  return kept(rows).flatMap((row) => kept(columns).map((column) => cells[row * CELLS + column] as number));
}

/** Shades as numbers; 255 says that a block holds what is not finite. */
function shaded(text: string, low: number, high: number, bad: number): number[] {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const unit = (high - low) / 254;
  return Array.from(bytes, (byte) => (bad > 0 && byte === 255 ? NaN : low + unit * byte));
}

/** The last axis runs across and all others down, unless that would be a long thin strip. */
function columnsOf(shape: number[]): number {
  const last = shape.at(-1) ?? 1;
  const size = shape.reduce((a, b) => a * b, 1);
  const rows = last ? size / last : 0;
  return last > WIDEST || rows > WIDEST ? 8 : Math.max(1, last);
}

/** The largest finite magnitude among the cells: what two thumbnails share so that they can be compared. */
export function magnitude(...views: (View | null)[]): number {
  let most = 0;
  for (const view of views)
    for (const cell of view?.cells ?? []) if (Number.isFinite(cell)) most = Math.max(most, Math.abs(cell));
  return most;
}

/** A place in the array, such as [1, 0], from its place in row-major order. */
export function placeOf(shape: number[], flat: number): number[] {
  const place: number[] = [];
  for (const n of [...shape].reverse()) {
    place.unshift(flat % n);
    flat = Math.floor(flat / n);
  }
  return place;
}
