// The graph as an accessible table: the same operations, with the current one marked.

import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";

import { viewOf } from "./arrays";
import { eventAt, type Op } from "./data";
import type { Recording, State, Store } from "./state";
import { isInput } from "./modules";
import { Name } from "./Name";
import { nameOf, number, shapeText } from "./text";

export function Table({ store, recording, state }: { store: Store; recording: Recording; state: State }) {
  const body = useRef<HTMLTableSectionElement>(null);
  const { trace } = recording;
  const rows = useMemo(() => trace.ops.map((op) => <Row op={op} ops={trace.ops} />), [trace]);
  useLayoutEffect(() => light(body.current, recording, state.step), [recording, state.step]);
  const pane = useRef<HTMLDivElement>(null);
  const [beyond, setBeyond] = useState("");
  useLayoutEffect(() => {
    const look = (): void => setBeyond(outside(pane.current as Element));
    const observer = new ResizeObserver(look);
    observer.observe(pane.current as Element);
    observer.observe(body.current as Element);
    pane.current?.addEventListener("scroll", look, { passive: true });
    return () => observer.disconnect();
  }, []);
  return (
    <div class="table-around">
    <p class="beyond" aria-hidden="true">{beyond}</p>
    <div class="scroll table-pane" tabIndex={0} role="region" aria-label="Operations as a table" ref={pane}>
      <table class="twin">
        <caption>Operations in execution order; the current one is marked</caption>
        <thead>
          <tr>
            {COLUMNS.map((column) => (
              <th scope="col">{column}</th>
            ))}
          </tr>
        </thead>
        <tbody
          ref={body}
          onClick={(e) => {
            const row = e.target instanceof Element ? e.target.closest("tr") : null;
            if (row !== null) store.goOp(row.sectionRowIndex);
          }}
          onKeyDown={(e) => {
            const by = e.key === "ArrowDown" ? 1 : e.key === "ArrowUp" ? -1 : 0;
            const row = e.target instanceof Element ? e.target.closest("tr") : null;
            if (by === 0 || row === null) return;
            body.current?.rows[row.sectionRowIndex + by]?.querySelector("button")?.focus();
            e.preventDefault();
          }}
        >
          {rows}
        </tbody>
      </table>
    </div>
    </div>
  );
}

const COLUMNS = ["Operation", "Module", "From", "Shape", "Gradient norm", "State"];

/** "out of view: ← Module   State →": the columns that the pane hides, under the first one or beyond its edge. */
function outside(pane: Element): string {
  const [first, ...others] = [...pane.querySelectorAll("thead th")].map((cell) => cell.getBoundingClientRect());
  const [left, right] = [first?.right ?? 0, pane.getBoundingClientRect().right];
  const named = (hidden: (middle: number) => boolean): string =>
    others.flatMap((box, i) => (hidden((box.left + box.right) / 2) ? [COLUMNS[i + 1]] : [])).join(", ");
  const [before, after] = [named((middle) => middle < left), named((middle) => middle > right)];
  if (!before && !after) return "";
  return ["out of view:", before && `← ${before}`, before && after && "·", after && `${after} →`].filter(Boolean).join(" ");
}

function Row({ op, ops }: { op: Op; ops: Op[] }) {
  const from = op.inputs.map((input, i) =>
    input === null ? null : `${nameOf(ops[input] as Op)}${op.roles?.[i] ? ` (${op.roles[i]})` : ""}`,
  );
  return (
    <tr>
      <th scope="row">
        <button type="button" class="quiet" tabIndex={-1}>
          <Name name={nameOf(op)} />
        </button>
      </th>
      <td>{op.path}</td>
      <td>{from.filter((f) => f !== null).join(", ")}</td>
      <td class="number">{shapeText(op.shape)}</td>
      <td class="number" />
      <td class="word" />
    </tr>
  );
}

function light(body: HTMLTableSectionElement | null, { trace, replay }: Recording, step: number): void {
  if (body === null) return;
  const event = eventAt(trace, step);
  const lane = replay.laneAt[step] as number;
  trace.ops.forEach((op, i) => {
    const row = body.rows[i] as HTMLTableRowElement;
    const gradient = replay.gradient(lane, op.id, step);
    const current = op.id === event.op;
    const word = current
      ? event.kind
      : op.id === event.consumer
        ? "sends"
        : gradient !== null
          ? "has a gradient"
          : isInput(op)
            ? "given"
            : (replay.forwardAt[op.id] as number) <= step
              ? "computed"
              : "";
    put(row.cells[4] as HTMLElement, gradient === null ? "" : number(viewOf(trace, gradient).norm));
    put(row.cells[5] as HTMLElement, word);
    if (current === row.hasAttribute("aria-current")) return;
    (row.querySelector("button") as HTMLButtonElement).tabIndex = current ? 0 : -1; // Tab comes to one, arrows to all
    if (!current) return row.removeAttribute("aria-current");
    row.setAttribute("aria-current", "step");
  });
  (body.rows[event.op] as HTMLElement).scrollIntoView({ block: "nearest" });
}

function put(cell: HTMLElement, text: string): void {
  if (cell.textContent !== text) cell.textContent = text;
}
