// The whole graph, small, where the pane shows only a part of it; a press goes there. It counts what is out of view.

import { useEffect, useRef, useState } from "preact/hooks";

import type { Node, Picture } from "./picture";
import { rem } from "./Thumbnail";

const [WIDEST, HIGHEST] = [132, 190];

/** "out of view: ← 6 ↓ 40": how many nodes are on each side. */
function outside(nodes: Node[], view: Window): string {
  const sides = { "←": 0, "→": 0, "↑": 0, "↓": 0 };
  for (const { x, y, width, height } of nodes)
    if (x + width / 2 < view.x) sides["←"]++;
    else if (x - width / 2 > view.x + view.width) sides["→"]++;
    else if (y + height / 2 < view.y) sides["↑"]++;
    else if (y - height / 2 > view.y + view.height) sides["↓"]++;
  const told = Object.entries(sides).flatMap(([side, count]) => (count ? `${side} ${count}` : []));
  return told.length ? `out of view: ${told.join(" ")}` : "";
}

interface Window {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** `shown` changes whenever the drawing's scale or the pane's size does. */
export function Minimap({ pane, picture, shown }: { pane: () => HTMLElement | null; picture: Picture; shown: string }) {
  const [view, setView] = useState<Window | null>(null);
  const pressed = useRef(false);
  useEffect(() => { // after the graph's own effects, which give the drawing its size
    const scrolled = pane();
    const drawing = scrolled?.querySelector("svg");
    if (!scrolled || !drawing) return;
    const look = (): void => {
      const [frame, box] = [scrolled.getBoundingClientRect(), drawing.getBoundingClientRect()];
      const scale = picture.width / box.width;
      const whole = box.width <= frame.width + 1 && box.height <= frame.height + 1;
      const [x, y] = [Math.max(0, frame.left - box.left) * scale, Math.max(0, frame.top - box.top) * scale];
      const [width, height] = [Math.min(frame.width, box.width) * scale, Math.min(frame.height, box.height) * scale];
      setView(whole ? null : { x, y, width, height });
    };
    look();
    scrolled.addEventListener("scroll", look, { passive: true });
    return () => scrolled.removeEventListener("scroll", look);
  }, [picture, shown]);
  if (view === null) return null;
  const scale = Math.min(WIDEST / picture.width, HIGHEST / picture.height);
  const go = (e: PointerEvent): void => {
    pressed.current = e.type === "pointerdown" || (pressed.current && e.buttons > 0);
    const [scrolled, box] = [pane(), (e.currentTarget as Element).getBoundingClientRect()];
    if (!pressed.current || !scrolled) return;
    const [x, y] = [(e.clientX - box.left) / box.width, (e.clientY - box.top) / box.height];
    scrolled.scrollTo({
      left: x * scrolled.scrollWidth - scrolled.clientWidth / 2,
      top: y * scrolled.scrollHeight - scrolled.clientHeight / 2,
      behavior: "instant",
    });
  };
  return (
    <svg
      class="minimap"
      viewBox={`0 0 ${picture.width} ${picture.height}`}
      style={{ width: rem(picture.width * scale), height: rem(picture.height * scale) }}
      aria-hidden="true"
      onPointerDown={go}
      onPointerMove={go}
    >
      {picture.nodes.map((n) => (
        <rect class={n.kind} x={n.x - n.width / 2} y={n.y - n.height / 2} width={n.width} height={n.height} />
      ))}
      <g class="window">
        <rect {...view} />
        <text x={picture.width} y={-6 / scale} font-size={11 / scale}>
          {outside(picture.nodes, view)}
        </text>
      </g>
    </svg>
  );
}
