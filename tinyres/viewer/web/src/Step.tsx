// The panel of the current event.

import { useLayoutEffect, useRef } from "preact/hooks";

import { placeOf, viewOf, type View } from "./arrays";
import { eventAt, type Op } from "./data";
import { writtenOut } from "./elements";
import { focusOn } from "./keyboard";
import { Rule } from "./Rule";
import type { Recording, State, Store } from "./state";
import { Rejoin, Sum } from "./Sum";
import { nameOf, number, rejoinsAt, sentence, shapeText } from "./text";
import { Thumbnail } from "./Thumbnail";
import { Tools } from "./Tools";

export function Step({ store, recording, state }: { store: Store; recording: Recording; state: State }) {
  const { trace, replay } = recording;
  const { step } = state;
  const event = eventAt(trace, step);
  const op = trace.ops[event.op] as Op;
  const source = trace.ops[event.consumer ?? event.op] as Op;
  const shown = event.contribution ?? event.total;
  const element = state.element ?? (shown === null ? 0 : largest(viewOf(trace, shown)));
  const before = event.kind === "rule" ? replay.gradient(event.lane as number, event.op, step) : event.before;
  const joins =
    event.kind === "forward"
      ? []
      : trace.joins.filter(
          (j) => j.lane === event.lane && j.routes.some((r) => r.event === step || r.event === step + 1),
        );
  const quiet =
    event.kind === "rule" || event.kind === "accumulate"
      ? trace.silent.filter((s) => s.lane === event.lane && s.op === event.consumer)
      : [];
  const lead = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => showLead(lead.current as Element), [step]);
  const choose = (to: number): void => {
    const { shape, whole } = viewOf(trace, shown as number);
    const value = writtenOut(trace, replay, event, step, to) ?? number(whole?.[to] ?? NaN);
    store.set({ element: to, said: `[${placeOf(shape, to).join(", ")}]: ${value}` });
  };
  return (
    <section class="step" tabIndex={0} aria-labelledby="event-title">
      <h2 class="hidden" id="event-title">
        The current event
      </h2>
      <div class="lead" ref={lead}>
        <div class="eyebrow">
          <p>
            <span class={`tag ${event.kind}`}>{event.kind}</span> event {step + 1} of {trace.events.length}
            {event.lane !== null && trace.lanes.length > 1 && <> · loss {trace.lanes[event.lane]}</>}
          </p>
          {replay.rejoins.size > 0 && <Rejoins store={store} />}
        </div>
        <p class="sentence" role="status" aria-live={state.playing ? "off" : "polite"}>
          {sentence(trace, step)}
          <span class="hidden">{rejoinsAt(trace, step)}</span>
        </p>
      </div>
      {trace.first !== null && step < trace.first.event && (
        <p class="first">
          <button
            type="button"
            onClick={() => {
              store.go((trace.first as { event: number }).event);
              focusOn(".step"); // the button is gone then
            }}
          >
            Look first at event {trace.first.event + 1}
          </button>{" "}
          <span>{trace.first.text}</span>
        </p>
      )}
      {joins.map((join) => (
        <Rejoin trace={trace} join={join} step={step} />
      ))}
      {event.kind === "forward" ? (
        <Value op={op} view={op.value === null ? null : viewOf(trace, op.value)} />
      ) : (
        <Sum trace={trace} event={event} before={before} element={element} onElement={choose} />
      )}
      {quiet.map((silent) => (
        <p class="silent">{silent.text}</p>
      ))}
      {event.kind !== "seed" && (
        <Rule trace={trace} replay={replay} event={event} step={step} element={element} onElement={choose} />
      )}
      <Source op={source} />
    </section>
  );
}

/** From one place where routes rejoin to the next. */
function Rejoins({ store }: { store: Store }) {
  const button = (label: string, sign: string, direction: 1 | -1) => (
    <button
      type="button"
      aria-label={label}
      title={label}
      aria-disabled={store.rejoin(direction) === undefined}
      onClick={() => store.goRejoin(direction)}
    >
      {sign}
    </button>
  );
  return (
    <Tools class="chooser" label="Where routes rejoin">
      {button("Previous rejoin", "‹", -1)}
      rejoin
      {button("Next rejoin", "›", 1)}
    </Tools>
  );
}

/** Where the panel scrolls, what happens stays over the numbers; where the page does, it comes into view again. */
function showLead(lead: Element): void {
  if (getComputedStyle(lead).position === "sticky") return;
  const page = lead.closest("main") as Element;
  if (lead.getBoundingClientRect().top < page.getBoundingClientRect().top) lead.scrollIntoView();
}

function Value({ op, view }: { op: Op; view: View | null }) {
  return (
    <section class="sum" aria-label="Value">
      <h3 class="target">
        value of <b>{nameOf(op)}</b>{" "}
        <span class="muted">
          {shapeText(op.shape)} {op.dtype}
        </span>
      </h3>
      <div class="parts">
        <div class="part after">
          <Thumbnail view={view} label="value" />
        </div>
      </div>
      {view === null && (
        <p class="muted">
          The tape saves only what its rules need. Trace a function, tr.trace(lambda: …), to see every value.
        </p>
      )}
    </section>
  );
}

/** The user's line that made the operation. */
function Source({ op }: { op: Op }) {
  if (op.source === null && op.file === null) return null;
  const file = op.file?.split(/[\\/]/).slice(-2).join("/");
  return (
    <section class="source" aria-label="Source">
      <h3>
        {nameOf(op)} <span class="muted">comes from</span>{" "}
        <span title={op.file ?? undefined}>
          {file}
          {op.line !== null && `:${op.line}`}
        </span>
      </h3>
      {op.source !== null && (
        <pre class="code" tabIndex={0} aria-label="Source line">
          {op.source}
        </pre>
      )}
    </section>
  );
}

/** The element with the largest magnitude. */
function largest(view: View): number {
  let [best, most] = [0, -1];
  view.whole?.forEach((value, i) => {
    if (Math.abs(value) > most) [best, most] = [i, Math.abs(value)];
  });
  return best;
}
