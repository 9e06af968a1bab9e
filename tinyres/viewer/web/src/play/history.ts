// What was measured at each step so far. Going back and on again writes later steps anew.

import { bisectLeft, bisectRight } from "d3-array";

import { isGame, type Frame } from "./protocol";

/** Columns of numbers over the steps; `heat` has a list a step. */
export class History {
  readonly step: number[] = [];
  readonly columns: Record<string, number[]> = {};
  readonly heat: number[][] = [];

  /** With the frame's rows. It is another history if they replace later ones, which earlier frames may still show. */
  with(frame: Frame): History {
    const rows = rowsOf(frame, this.step);
    const first = rows.step[0];
    if (first === undefined) return this;
    const from = bisectLeft(this.step, first);
    const into = from < this.step.length ? this.upTo(from) : this;
    into.step.push(...rows.step);
    into.heat.push(...rows.heat);
    for (const [name, values] of Object.entries(rows.columns)) (into.columns[name] ??= []).push(...values);
    return into;
  }

  /** How many rows there are up to a step. */
  count(step: number): number {
    return bisectRight(this.step, step);
  }

  private upTo(rows: number): History {
    const made = new History();
    made.step.push(...this.step.slice(0, rows));
    made.heat.push(...this.heat.slice(0, rows));
    for (const [name, values] of Object.entries(this.columns)) made.columns[name] = values.slice(0, rows);
    return made;
  }
}

interface Rows {
  step: number[];
  columns: Record<string, number[]>;
  heat: number[][];
}

function rowsOf(frame: Frame, known: readonly number[]): Rows {
  if (!isGame(frame)) {
    const { step = [], loss = [], accuracy = [], heat = [] } = frame.history ?? {};
    return { step, columns: { loss, accuracy: step.map((_, i) => accuracy[i] ?? NaN) }, heat };
  }
  if (frame.history) {
    const { step, ...columns } = frame.history;
    return { step, columns, heat: [] };
  }
  const { losses, gradient_g, gradient_d } = frame;
  const back = known[bisectLeft(known, frame.step)] === frame.step && !frame.playing;
  const columns = { d: [losses.d], g: [losses.g], gradient_g: [gradient_g], gradient_d: [gradient_d] };
  return { step: back ? [] : [frame.step], columns, heat: [] };
}

/** The places of at most `most` of the first `count` rows, a power of two apart: more rows do not move them. */
export function chosen(count: number, most: number): number[] {
  const apart = 2 ** Math.max(0, Math.ceil(Math.log2(count / most)));
  const places = Array.from({ length: Math.ceil(count / apart) }, (_, i) => i * apart);
  if (count && places.at(-1) !== count - 1) places.push(count - 1);
  return places;
}
