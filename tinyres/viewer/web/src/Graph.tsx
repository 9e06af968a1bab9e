// The graph's pane: drawing again when modules open or close, lighting and scrolling when the step changes.

import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";

import { eventAt } from "./data";
import { Drawing } from "./drawing";
import { picture } from "./layout";
import { Minimap } from "./Minimap";
import { ancestors, called, hiddenIn, newUse, type Call } from "./modules";
import { pinch } from "./pinch";
import type { Recording, State, Store } from "./state";
import { Tools } from "./Tools";

interface Props {
  store: Store;
  recording: Recording;
  state: State;
}

// The scales at which text can be read with ease, and names at all; on a phone the smallest text has 9 pixels, and 7.2.
const [DESK, PHONE] = [[0.7, 0.5], [9 / 12, 7.2 / 12]] as const;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

export function Graph({ store, recording, state }: Props) {
  const { trace, calls, replay } = recording;
  const pane = useRef<HTMLDivElement>(null);
  const drawing = useMemo(() => {
    const opened = [...calls.byKey.values()].filter((c) => hiddenIn(c, state.opened) === null);
    return new Drawing(picture(trace.ops, calls, state.opened, replay), replay, opened);
  }, [recording, state.opened]);
  const event = eventAt(trace, state.step);
  const looks = useMemo(() => drawing.looks(event, state.step, store.lane), [drawing, state.step]);
  const toggled = useRef<Toggled | null>(null);
  const held = useRef<Held | null>(null); // the place between two fingers

  useLayoutEffect(() => {
    const active = document.activeElement; // unlike :focus, also while another window is in front
    const focused = pane.current?.contains(active) ? active?.getAttribute("data-key") : null;
    pane.current?.replaceChildren(drawing.element);
    if (focused != null) drawing.focus(drawing.keyNow(focused) ?? focused);
  }, [drawing]);
  useLayoutEffect(() => {
    const scrolled = pane.current as HTMLElement;
    return pinch(scrolled, (factor, x, y) => {
      const box = (scrolled.firstElementChild as Element).getBoundingClientRect();
      held.current = { x, y, across: (x - box.left) / box.width, down: (y - box.top) / box.height };
      store.zoomBy(factor);
      held.current = null;
    });
  }, []);
  const [room, setRoom] = useState(""); // of the pane: it changes with the window, or in a frame that loads
  useLayoutEffect(() => {
    const observer = new ResizeObserver(([entry]) => {
      const { width, height } = (entry as ResizeObserverEntry).contentRect;
      setRoom(`${width} ${height}`);
    });
    observer.observe(pane.current as Element);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    const { width, height } = drawing.picture;
    const [wide, high] = [(pane.current?.clientWidth ?? width) / width, (pane.current?.clientHeight ?? height) / height];
    const { inView } = store;
    const [easy, small] = matchMedia("(max-width: 45em), (max-height: 32.5em)").matches ? PHONE : DESK;
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16; // as large as other letters
    store.fitting = Math.min(rem, Math.max(easy * rem, wide));
    store.least = Math.max(small * rem, Math.min(rem, wide, high));
    if (store.inView !== inView) queueMicrotask(() => store.set({})); // the button beside the graph says so
    const zoom = state.zoom ?? store.fitting;
    drawing.element.setAttribute("width", String(width * zoom));
    drawing.element.setAttribute("height", String(height * zoom));
  }, [drawing, state.zoom, room]);
  useLayoutEffect(() => drawing.light(event, state.step, store.lane), [drawing, state.step]);
  useLayoutEffect(() => {
    const last = toggled.current;
    if (last !== null) last.opened ??= state.opened;
    if (last?.step !== state.step || last.opened !== state.opened) toggled.current = null;
    const opened = toggled.current && drawing.elementOf(drawing.keyNow(toggled.current.key));
    if (held.current !== null) keep(pane.current, drawing.element, held.current);
    else follow(pane.current, opened ?? drawing.nodeOf(event.op), state.playing);
  }, [drawing, state.step, state.zoom, room]);
  const toggle = (key: string): void => {
    toggled.current = { key, step: state.step, opened: null };
    store.toggle(key);
  };

  const activate = (target: EventTarget | null): void => {
    const key = target instanceof Element ? target.closest("[data-key]")?.getAttribute("data-key") : null;
    if (key == null) return;
    if (calls.byKey.has(key)) toggle(key);
    else store.goOp(Number(key.slice(1)));
  };
  const onKeyDown = (pressed: KeyboardEvent): void => {
    const key = pressed.target instanceof Element ? pressed.target.getAttribute("data-key") : null;
    if (key === null) return;
    const by = pressed.key === "ArrowDown" ? 1 : pressed.key === "ArrowUp" ? -1 : 0;
    if (by !== 0) {
      const next = drawing.neighbour(key, by);
      if (next !== null) drawing.focus(next);
    } else if (pressed.key === "Enter" || pressed.key === " ") activate(pressed.target);
    else return;
    pressed.preventDefault();
  };
  return (
    <div class="graph-pane">
      <Path store={store} call={calls.of[event.consumer ?? event.op] as Call} opened={state.opened} />
      <div class="around">
        <div class="scroll" tabIndex={-1} ref={pane} onClick={(e) => activate(e.target)} onKeyDown={onKeyDown} />
        <Minimap
          pane={() => pane.current}
          picture={drawing.picture}
          shown={`${state.zoom} ${room} ${store.fitting}`}
        />
      </div>
      <Legend looks={looks} />
    </div>
  );
}

/** Where the current event is, module in module; each opens and closes. */
function Path({ store, call, opened }: { store: Store; call: Call; opened: ReadonlySet<string> }) {
  const line = ancestors(call).filter((c) => c.parent !== null);
  return (
    <Tools class="path" label="Modules of the current event">
      {line.length === 0 && <span class="muted">outside all modules</span>}
      {line.map((c) => (
        <button
          type="button"
          key={c.key}
          aria-expanded={opened.has(c.key)}
          title={`${opened.has(c.key) ? "Close" : "Open"} ${c.path}`}
          onClick={() => store.toggle(c.key)}
        >
          <span aria-hidden="true">{opened.has(c.key) ? "▾" : "▸"} </span>
          {[called(c.label, c), newUse(c)].filter(Boolean).join(", ")}
        </button>
      ))}
    </Tools>
  );
}

const LINES: [string, string][] = [
  ["skip", "skip"],
  ["branch", "branch"],
  ["walked", "gradient has passed"],
  ["plain", "input of an operation"],
  ["silent", "no gradient comes this way"],
  ["lit", "this event"],
];

/** What the lines mean that are drawn at this event, and no others. */
function Legend({ looks }: { looks: ReadonlySet<string> }) {
  return (
    <p class="legend">
      {LINES.filter(([look]) => looks.has(look)).map(([look, text]) => (
        <span>
          <svg width="34" height="8" aria-hidden="true">
            <path class={`edge ${look === "silent" ? "skip silent" : look}`} d="M1 4 H33" />
          </svg>{" "}
          {text}{" "}
        </span>
      ))}
    </p>
  );
}

/** The module that was last opened or closed in the graph itself: it stays in view, also when a legend takes some room. */
interface Toggled {
  key: string;
  step: number;
  /** What was open then. */
  opened: ReadonlySet<string> | null;
}

interface Held {
  /** In the window. */
  x: number;
  y: number;
  /** Parts of the drawing's width and height. */
  across: number;
  down: number;
}

/** What was between the fingers stays between them. */
function keep(pane: HTMLElement | null, drawing: Element, { x, y, across, down }: Held): void {
  const box = drawing.getBoundingClientRect();
  pane?.scrollBy({ left: box.left + across * box.width - x, top: box.top + down * box.height - y, behavior: "instant" });
}

/** Keep a node in view: only as far as needed, and at once where less motion is wanted. */
function follow(pane: HTMLElement | null, node: Element | null, playing: boolean): void {
  if (pane === null || node === null) return;
  const [frame, box] = [pane.getBoundingClientRect(), node.getBoundingClientRect()];
  const margin = Math.min(90, frame.height / 4); // a phone's pane is low
  const inside =
    box.left > frame.left + 10 &&
    box.right < frame.right - 10 &&
    box.top > frame.top + margin &&
    box.bottom < frame.bottom - margin;
  if (inside) return;
  const left = pane.scrollLeft + (box.left + box.right) / 2 - (frame.left + frame.right) / 2;
  const top = pane.scrollTop + (box.top + box.bottom) / 2 - (frame.top + frame.bottom) / 2;
  pane.scrollTo({
    left,
    top,
    behavior: calm.matches || playing || Math.abs(top - pane.scrollTop) > 2000 ? "instant" : "smooth",
  });
}
