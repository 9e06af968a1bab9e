// What is taken out of the page: charts as SVG or PNG, and texts.

import { legend } from "./legend";

export type Theme = "auto" | "light" | "dark";

export function download(name: string, content: string | Blob, type = "text/plain"): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const STYLED = [
  "fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "stroke-linecap", "opacity",
  "font-size", "font-family", "font-weight", "text-anchor", "dominant-baseline", "paint-order", "display",
]; // prettier-ignore
const MARGIN = 8; // pixels of ground around a saved picture: on the page its panel has them
const SVG = "http://www.w3.org/2000/svg";

/** A copy that carries its styles. */
function inlined(chart: SVGSVGElement): SVGSVGElement {
  const copy = chart.cloneNode(true) as SVGSVGElement;
  const originals = [chart, ...chart.querySelectorAll<SVGElement>("*")];
  [copy, ...copy.querySelectorAll<SVGElement>("*")].forEach((element, i) => {
    const style = getComputedStyle(originals[i] as SVGElement);
    for (const name of STYLED) element.style.setProperty(name, style.getPropertyValue(name));
    for (const name of ["class", "tabindex", "role", "aria-label"]) element.removeAttribute(name);
  });
  return copy;
}

/** A chart with its styles, its pixels and its legend inside it, on the page's ground: nothing else is needed to show it. */
export function standalone(chart: SVGSVGElement, title: string): { text: string; width: number; height: number } {
  const copy = inlined(chart);
  const { width: across, height: own } = chart.getBoundingClientRect();
  const { parts, height: under } = legend(chart, own, inlined);
  const [width, height] = [across + 2 * MARGIN, own + under + 2 * MARGIN];
  copy.setAttribute("xmlns", SVG);
  copy.setAttribute("width", String(width));
  copy.setAttribute("height", String(height));
  copy.setAttribute("viewBox", `${-MARGIN} ${-MARGIN} ${width} ${height}`);
  const named = document.createElementNS(SVG, "title");
  named.textContent = title;
  const ground = document.createElementNS(SVG, "rect");
  for (const way of ["x", "y"]) ground.setAttribute(way, String(-MARGIN));
  ground.setAttribute("width", "100%");
  ground.setAttribute("height", "100%");
  ground.setAttribute("fill", getComputedStyle(chart.closest(".panel") ?? chart).backgroundColor);
  const pictures = [...(chart.parentElement?.querySelectorAll("canvas") ?? [])].map((canvas) => {
    const image = document.createElementNS(SVG, "image");
    const [from, to] = [chart.getBoundingClientRect(), canvas.getBoundingClientRect()];
    const place = { x: to.x - from.x, y: to.y - from.y, width: to.width, height: to.height };
    for (const [name, value] of Object.entries(place)) image.setAttribute(name, String(value));
    image.setAttribute("preserveAspectRatio", "none");
    image.setAttribute("href", canvas.toDataURL());
    image.style.imageRendering = "pixelated";
    return image;
  });
  copy.prepend(named, ground, ...pictures);
  copy.append(...parts);
  return { text: new XMLSerializer().serializeToString(copy), width, height };
}

const SHARP = 3; // pixels of the PNG for one of the page

export async function picture(chart: SVGSVGElement, title: string, name: string, format: "svg" | "png"): Promise<void> {
  const { text, width, height } = standalone(chart, title);
  if (format === "svg") return download(`${name}.svg`, text, "image/svg+xml");
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.round(width * SHARP), Math.round(height * SHARP)];
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  canvas.toBlob((blob) => blob && download(`${name}.png`, blob));
}
