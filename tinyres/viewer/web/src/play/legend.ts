// What stands around a chart to read it by, drawn into its saved picture: keys and words at the places they have on the page.

const SVG = "http://www.w3.org/2000/svg";

export function drawn<K extends keyof SVGElementTagNameMap>(tag: K, attributes: Record<string, string | number>): SVGElementTagNameMap[K] {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}

/** The legends of a chart's panel as SVG from `top` on, and their height; `inlined` copies a key that is an SVG itself. */
export function legend(chart: SVGSVGElement, top: number, inlined: (key: SVGSVGElement) => SVGSVGElement): { parts: SVGElement[]; height: number } {
  const parts: SVGElement[] = [];
  let height = 0;
  for (const list of chart.closest(".panel")?.querySelectorAll(".legend, .now:has(.stroke)") ?? []) {
    const box = list.getBoundingClientRect();
    const shift = { x: GAP - box.left, y: top + height + GAP - box.top };
    const walk = (node: Node): void => {
      if (node instanceof Text) parts.push(...words(node, shift));
      else if (node instanceof SVGSVGElement) {
        const place = node.getBoundingClientRect();
        const copy = inlined(node);
        for (const [name, value] of Object.entries({ x: place.x + shift.x, y: place.y + shift.y, width: place.width, height: place.height }))
          copy.setAttribute(name, String(value));
        parts.push(copy);
      } else if (node instanceof HTMLElement && node.tagName === "I") parts.push(...key(node, shift, parts.length));
      else node.childNodes.forEach(walk);
    };
    walk(list);
    height += box.height + GAP;
  }
  return { parts, height: height > 0 ? height + GAP : 0 };
}

const GAP = 6;

interface Shift {
  x: number;
  y: number;
}

/** Word by word: a line may break anywhere. */
function words(node: Text, shift: Shift): SVGElement[] {
  const { fontSize, fontFamily, fontWeight, color } = getComputedStyle(node.parentElement as Element);
  return [...node.data.matchAll(/\S+/g)].map((found) => {
    const range = document.createRange();
    range.setStart(node, found.index);
    range.setEnd(node, found.index + found[0].length);
    const { x, y, height } = range.getBoundingClientRect();
    const text = drawn("text", { x: x + shift.x, y: y + shift.y + 0.78 * height });
    text.textContent = found[0];
    Object.assign(text.style, { fontSize, fontFamily, fontWeight, fill: color });
    return text;
  });
}

/** A stroke, a mark, a swatch or a ramp of colours. */
function key(element: HTMLElement, shift: Shift, id: number): SVGElement[] {
  const style = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  const [x, y, width, height] = [box.x + shift.x, box.y + shift.y, box.width, box.height];
  const border = parseFloat(style.borderTopWidth);
  const colours = style.backgroundImage.match(/rgba?\([^)]*\)/g) ?? [];
  if (border > 0 && height <= 2 * border)
    return [
      drawn("line", {
        x1: x, x2: x + width, y1: y + border / 2, y2: y + border / 2, stroke: style.borderTopColor, "stroke-width": border,
        ...(style.borderTopStyle === "dashed" ? { "stroke-dasharray": "6 4" } : {}),
      }),
    ]; // prettier-ignore
  if (element.matches(".real"))
    return [drawn("path", { d: `M${x} ${y + height / 2}h${width}m${-width / 2} ${-height / 2}v${height}`, stroke: colours[0] ?? "", "stroke-width": 2 })];
  let fill = style.backgroundColor;
  const made: SVGElement[] = [];
  if (colours.length) {
    const ramp = drawn("linearGradient", { id: `ramp-${id}` });
    colours.forEach((colour, i) => ramp.append(drawn("stop", { offset: i / (colours.length - 1), "stop-color": colour })));
    made.push(ramp);
    fill = `url(#ramp-${id})`;
  }
  const round = style.borderTopLeftRadius.endsWith("%") ? width / 2 : parseFloat(style.borderTopLeftRadius);
  return [...made, drawn("rect", { x, y, width, height, rx: round, fill })];
}
