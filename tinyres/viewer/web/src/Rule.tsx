// The current rule: as a formula, as code with shapes, and with numbers.

import { viewOf, placeOf } from "./arrays";
import type { Event, Op, Trace } from "./data";
import { writtenOut } from "./elements";
import { FIRST, FORMULAS, FRAGMENTS } from "./formulas";
import { Name } from "./Name";
import type { Replay } from "./replay";
import { nameOf, number, shapeText } from "./text";
import { Thumbnail } from "./Thumbnail";

interface Props {
  trace: Trace;
  replay: Replay;
  event: Event;
  step: number;
  element: number;
  onElement: (element: number) => void;
}

export function Rule({ trace, replay, event, step, element, onElement }: Props) {
  const op = trace.ops[event.consumer ?? event.op] as Op;
  const backward = event.consumer !== null;
  const arg = op.args[event.arg] ?? String(event.arg);
  const rules = Object.hasOwn(trace.rules, op.kind) ? trace.rules[op.kind] : undefined;
  const code = backward ? (rules?.args[arg] ?? rules?.args["*"] ?? rules?.args[variadic(arg)]) : rules?.forward;
  const symbols = symbolsOf(trace, replay, op, event, step);
  return (
    <section class="derivation" aria-label="Rule">
      <h3>
        {backward ? "Rule of" : "Definition of"} {nameOf(op)}
        {backward && (
          <>
            {" "}
            for argument {event.arg}, <code>{arg}</code>
          </>
        )}
      </h3>
      <Formula kind={op.kind} arg={backward ? arg : null} />
      {backward && rules?.broadcasts && repeated(op, (trace.ops[event.op] as Op).shape) && (
        <p>
          … summed over the axes along which <code>{arg}</code> ({shapeText((trace.ops[event.op] as Op).shape)}) was
          broadcast.
        </p>
      )}
      {op.kind.startsWith("conv2d") && (
        <p class="muted">
          s, d, P: stride, dilation and padding, given below; c runs over the channels of o’s group; terms beyond the
          image’s edge are left out.
        </p>
      )}
      {code !== undefined && <Shaped code={code} shapes={new Map(symbols.map((s) => [s.name, s.shape]))} />}
      <Written trace={trace} replay={replay} event={event} step={step} element={element} onElement={onElement} />
      <table class="symbols">
        <caption class="hidden">Meaning of the names</caption>
        <thead class="hidden">
          <tr>
            <th>Name</th>
            <th>Meaning</th>
            <th>Value</th>
          </tr>
        </thead>
        <tbody>
          {symbols.map((symbol) => (
            <tr>
              <th scope="row">
                <code>{symbol.name}</code>
              </th>
              <td>
                <Name name={symbol.meaning} />
                <br />
                <span class="muted">
                  {shapeText(symbol.shape)} {symbol.dtype}
                </span>
              </td>
              <td>
                <Thumbnail view={symbol.array === null ? null : viewOf(trace, symbol.array)} label={symbol.name} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <Statics op={op} />
    </section>
  );
}

/** Whether an input was broadcast; for a matrix product, along its batch axes. */
function repeated(op: Op, shape: number[]): boolean {
  const end = op.kind === "matmul" ? -2 : undefined;
  return op.shape.slice(0, end).join() !== shape.slice(0, end).join();
}

const variadic = (arg: string): string => arg.replace(/\d+$/, "");

/** The only markup that is not created here: rendered from formulas.json when the page is built. */
function Formula({ kind, arg }: { kind: string; arg: string | null }) {
  const key = [`${kind} ${arg ?? ""}`, `${kind} ${variadic(arg ?? "")}`].find((k) => Object.hasOwn(FORMULAS, k));
  if (key === undefined) return null;
  return (
    <div
      class="formula"
      tabIndex={0}
      role="group"
      aria-label="Formula"
      dangerouslySetInnerHTML={{ __html: `<math display="block">${whole(FORMULAS[key] as string)}</math>` }}
    />
  );
}

function whole(short: string): string {
  return short.replace(/[\u0100-\u017f]/g, (sign) => whole(FRAGMENTS[sign.charCodeAt(0) - FIRST] as string));
}

/** The rule's source code, each name with its shape. */
function Shaped({ code, shapes }: { code: string; shapes: Map<string, number[]> }) {
  const tokens = code.split(/(\b[A-Za-z_]\w*\b)/);
  return (
    <pre class="code" tabIndex={0} aria-label="The rule in the source, with shapes">
      {tokens.map((token, i) => {
        const called = tokens[i + 1]?.startsWith("(") || tokens[i + 1]?.startsWith("=") || tokens[i - 1]?.endsWith(".");
        const shape = called ? undefined : shapes.get(token);
        return shape === undefined ? (
          token
        ) : (
          <span class="shaped">
            {token}
            <sub>{shape.length ? shape.join("×") : "1"}</sub>
          </span>
        );
      })}
    </pre>
  );
}

function Written({ trace, replay, event, step, element, onElement }: Props) {
  if (event.contribution === null) return null;
  const view = viewOf(trace, event.contribution);
  const text = writtenOut(trace, replay, event, step, element);
  if (view.whole === null || (text === null && view.whole.length === 1)) return null;
  const count = view.whole.length;
  return (
    <p class="written">
      {count > 1 && (
        <span class="chooser">
          <button type="button" aria-label="Previous element" onClick={() => onElement((element + count - 1) % count)}>
            ‹
          </button>
          <span>[{placeOf(view.shape, element).join(", ")}]</span>
          <button type="button" aria-label="Next element" onClick={() => onElement((element + 1) % count)}>
            ›
          </button>
        </span>
      )}
      <span class="product">{text ?? number(view.whole[element] as number)}</span>
    </p>
  );
}

interface Symbol {
  name: string;
  meaning: string;
  shape: number[];
  dtype: string;
  array: number | null;
}

function symbolsOf(trace: Trace, replay: Replay, op: Op, event: Event, step: number): Symbol[] {
  const symbols: Symbol[] = [];
  if (event.consumer !== null) {
    const array = replay.gradient(event.lane as number, op.id, step);
    symbols.push({
      name: "g",
      meaning: `total gradient of ${nameOf(op)}`,
      shape: op.shape,
      dtype: op.dtype,
      array,
    });
  }
  op.inputs.forEach((input, i) => {
    const from = input === null ? undefined : trace.ops[input];
    if (from !== undefined)
      symbols.push({
        name: op.args[i] ?? String(i),
        meaning: nameOf(from),
        shape: from.shape,
        dtype: from.dtype,
        array: from.value,
      });
  });
  symbols.push({ name: "y", meaning: `output of ${nameOf(op)}`, shape: op.shape, dtype: op.dtype, array: op.value });
  return symbols;
}

function Statics({ op }: { op: Op }) {
  const entries = Object.entries(op.static);
  if (!entries.length) return null;
  return (
    <p class="statics">
      {entries.map(([name, value]) => (
        <code>
          {name}={value}
        </code>
      ))}
    </p>
  );
}
