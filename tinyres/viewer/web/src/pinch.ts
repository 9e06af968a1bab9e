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
