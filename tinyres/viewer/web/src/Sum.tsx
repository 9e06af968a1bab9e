// The accumulation: before += contribution = after.
// Where a block's routes rejoin: how much each of them contributed.

import { magnitude, viewOf, type View } from "./arrays";
import { toNumber, type Event, type Join, type Op, type Trace } from "./data";
import { blockOf, degrees, nameOf, number, shapeText, sharesOf } from "./text";
import { Thumbnail } from "./Thumbnail";

interface Props {
  trace: Trace;
  event: Event;
  before: number | null;
  element: number;
  onElement: (element: number) => void;
}

export function Sum({ trace, event, before, element, onElement }: Props) {
  const view = (index: number | null): View | null => (index === null ? null : viewOf(trace, index));
  const [b, c, t] = [view(before), view(event.contribution), view(event.total)];
  const scale = magnitude(b, c, t);
  const op = trace.ops[event.op] as Op;
  const pending = event.kind === "rule";
  const role = event.consumer === null ? null : ((trace.ops[event.consumer] as Op).roles?.[event.arg] ?? null);
  const long = [b, c, t].some((v) => v !== null && v.whole !== null && v.whole.length > 1 && v.columns > 2);
  const part = (name: string, shown: View | null, absent: string, kind: string) => (
    <div class={`part ${kind}`}>
      <h4>{name}</h4>
      {shown === null ? (
        <span class="absent">{absent}</span>
      ) : (
        <Thumbnail
          view={shown}
          label={name}
          scale={scale}
          chosen={shown.whole !== null && shown.whole.length > 1 ? element : undefined}
          onChoose={onElement}
        />
      )}
    </div>
  );
  return (
    <section class={`sum ${pending ? "pending" : ""}`} aria-label="Accumulation">
      <h3 class="target">
        gradient of <b>{nameOf(op)}</b> <span class="muted">{shapeText(op.shape)}</span>
      </h3>
      <div class={`parts ${long ? "down" : "across"}`}>
        {long && <span class="sign" />}
        {part("before", b, event.kind === "seed" ? "nothing" : "nothing yet", "before")}
        <span class={`sign ${pending ? "off" : ""}`}>+=</span>
        {part(
          "contribution",
          event.kind === "seed" ? t : c,
          "",
          `contribution ${role === "skip" || role === "branch" ? role : ""}`,
        )}
        <span class={`sign ${pending ? "off" : ""}`}>=</span>
        {part("after", t, pending ? "not added yet" : "", "after")}
      </div>
    </section>
  );
}

export function Rejoin({ trace, join, step }: { trace: Trace; join: Join; step: number }) {
  const norms = join.routes.map((route) => toNumber(route.norm));
  const shares = sharesOf(join);
  const [comparable] = shares;
  const arrived = join.routes.map((route) => route.event <= step);
  return (
    <section class="rejoin" aria-label="Where the routes rejoin">
      <h3>
        The routes of {blockOf(trace, join.name)} rejoin at {nameOf(trace.ops[join.op] as Op)}
      </h3>
      <div
        class="bar"
        role="img"
        aria-label={join.routes.map((r, i) => `${r.role}: norm ${number(norms[i] as number)}`).join(", ")}
      >
        {join.routes.map((route, i) => (
          <span
            class={`${tone(route.role)} ${arrived[i] ? "" : "coming"}`}
            style={{ flexGrow: comparable ? Math.max(2, parseInt(shares[i] as string)) : 1 }}
          />
        ))}
      </div>
      <ul>
        {join.routes.map((route, i) => (
          <li class={tone(route.role)}>
            <i class="key" /> {route.role} norm <b>{number(norms[i] as number)}</b>{" "}
            <span class="muted">
              {[shares[i], arrived[i] ? "" : "still to come"].filter(Boolean).join(", ")}
            </span>
          </li>
        ))}
        {join.angle !== null && <li class="muted">{degrees(join.angle)}° between them</li>}
      </ul>
      {comparable && (
        <p class="muted">
          Per cent of the sum of these norms, ‖{join.routes.map((route) => route.role).join("‖ + ‖")}‖. The norm of the
          gradients' sum is smaller where they point in different directions.
        </p>
      )}
    </section>
  );
}

const tone = (role: string): string => (role === "skip" || role === "branch" ? role : "");
