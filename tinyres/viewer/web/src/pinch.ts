// Fingers. Two of them on the graph zoom the graph: the browser would magnify the page, with its bars, instead.

/** Whether a finger is what points: cells are large then, and nothing is said of keys before what a touch does. */
export const byTouch = (): boolean => matchMedia("(pointer: coarse)").matches;

export function pinch(pane: HTMLElement, zoom: (factor: number, x: number, y: number) => void): () => void {
  let apart = 0;
  const begin = ({ touches }: TouchEvent): void => {
    apart = span(touches);
  };
  const move = (e: TouchEvent): void => {
    const now = span(e.touches);
    if (apart === 0 || now === 0) return;
    if (e.cancelable) e.preventDefault();
    const [a, b] = [e.touches[0] as Touch, e.touches[1] as Touch];
    zoom(now / apart, (a.clientX + b.clientX) / 2, (a.clientY + b.clientY) / 2);
    apart = now;
  };
  const heard = new AbortController();
  for (const kind of ["touchstart", "touchend", "touchcancel"] as const)
    pane.addEventListener(kind, begin, { passive: true, signal: heard.signal });
  pane.addEventListener("touchmove", move, { passive: false, signal: heard.signal });
  return () => heard.abort();
}

/** Between two fingers; 0 for any other number of them. */
function span(touches: TouchList): number {
  const [a, b] = [touches[0], touches[1]];
  if (touches.length !== 2 || a === undefined || b === undefined) return 0;
  return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
}

const SIDEWAYS = 8; // pixels from which on a swipe belongs to the slider

/**
 * A finger that comes down on a slider may be about to scroll, and the browser moves the thumb to it all the same. The
 * page hears of it when the finger goes to the side or lifts; if the browser takes the swipe, it never does.
 */
export function spareSliders(root: EventTarget): void {
  let held: { slider: HTMLInputElement; before: string; to?: string; x: number } | null = null;
  const hear = <E extends Event>(kind: string, act: (e: E) => void): void =>
    root.addEventListener(kind, act as (e: Event) => void, true);
  const settle = (): void => {
    const { slider, to } = held ?? {};
    held = null;
    if (slider === undefined || to === undefined) return;
    slider.value = to;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  };
  hear<PointerEvent>("pointerdown", ({ target, pointerType, isPrimary, clientX: x }) => {
    const slider = target as HTMLInputElement;
    if (isPrimary) held = pointerType === "touch" && slider.type === "range" ? { slider, before: slider.value, x } : null;
  });
  hear("input", (e) => {
    if (held?.slider !== e.target) return;
    (held as { to?: string }).to = (e.target as HTMLInputElement).value;
    e.stopPropagation();
  });
  hear<PointerEvent>("pointermove", (e) => held && Math.abs(e.clientX - held.x) > SIDEWAYS && settle());
  hear("pointerup", settle);
  hear("pointercancel", () => {
    if (held) held.slider.value = held.before;
    held = null;
  });
}
