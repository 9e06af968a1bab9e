// The graph as SVG. It is drawn once for a picture; a step touches only what changes.

import type { Event } from "./data";
import { box, grown, overlap, padded } from "./frames";
import type { Edge, Node, Picture } from "./picture";
import { ancestors, called, newUse, useOf, type Call } from "./modules";
import { viewOf } from "./arrays";
import type { Replay } from "./replay";
import { number } from "./text";

const SVG = "http://www.w3.org/2000/svg";

function make<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | number> = {},
  text?: string,
): SVGElementTagNameMap[K] {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  if (text !== undefined) element.textContent = text;
  return element;
}

interface DrawnNode {
  node: Node;
  element: SVGGElement;
  norm: SVGTextElement;
  label: string; // without its gradient
  classes: string;
  shown: string;
}

interface DrawnEdge {
  edge: Edge;
  element: SVGPathElement;
  classes: string;
}

export class Drawing {
  readonly element: SVGSVGElement;
  private readonly nodes: DrawnNode[] = [];
  private readonly edges: DrawnEdge[] = [];
  private readonly labels = new Map<Call, SVGTextElement>();
  private readonly byKey = new Map<string, DrawnNode>();
  /** What the arrows go along: nodes, and before the first node of a frame its label. */
  private readonly stops = new Map<string, SVGElement>();
  private tabbed: SVGElement | null = null;

  constructor(
    readonly picture: Picture,
    private readonly replay: Replay,
    opened: Call[],
  ) {
    const { width, height } = picture;
    this.element = make("svg", {
      viewBox: `0 0 ${width} ${height}`,
      width,
      height,
      role: "group",
      "aria-label": "Graph of the operations; up and down move between nodes and frames, Enter opens or closes one, T shows a table",
    });
    this.element.append(markers());
    const framed = new Set<Call>();
    for (const call of opened) if (this.drawFrame(call, labelIn(call, framed), opened)) framed.add(call);
    for (const edge of picture.edges) {
      const element = make("path", { d: side(edge.points, edge.streams), class: "edge" });
      this.edges.push({ edge, element, classes: "" });
      this.element.append(element);
    }
    this.element.append(...this.labels.values()); // over the lines that cross them
    for (const node of picture.nodes) {
      for (const call of ancestors(node.call)) this.stopAt(call.key, this.labels.get(call));
      this.stopAt(node.key, this.drawNode(node));
    }
    this.moveTab(this.nodes[0]?.element ?? null);
  }

  /**
   * An open module's frame: around its nodes or, where others lie between them, around what it computes. If there is no
   * room for that either, its name stands over the first of them, unless those of the modules in it say it.
   */
  private drawFrame(call: Call, name: string, opened: Call[]): boolean {
    const inside = (c: Call): boolean => c === call || (c.parent !== null && inside(c.parent));
    const members = this.picture.nodes.filter((n) => inside(n.call));
    const computed = members.filter((n) => n.kind === "op" || n.kind === "module");
    const around = [members, computed].flatMap((nodes) => {
      const frame = grown(box(nodes), padded(call, nodes));
      return this.picture.nodes.some((n) => !nodes.includes(n) && overlap(frame, box([n]))) ? [] : [frame];
    })[0];
    if (around === undefined && opened.some((c) => c.parent === call)) return false;
    const { left, right, top, bottom } = around ?? grown(box(computed.slice(0, 1)), padded(call, []));
    if (around !== undefined)
      this.element.append(
        make("rect", { class: "frame", x: left, y: top, width: right - left, height: bottom - top, rx: 10 }),
      );
    const label = make("text", {
      class: "frame-label",
      x: left + 10,
      y: top + 13,
      "data-key": call.key,
      role: "button",
      tabindex: -1,
      "aria-expanded": "true",
      "aria-label": ["module", called(call.path, call), useOf(call)].filter(Boolean).join(" "),
    });
    label.append(sign("▾"), [name, newUse(call)].filter(Boolean).join(", "), make("title", {}, `Close ${call.path}`));
    this.labels.set(call, label);
    return true;
  }

  private stopAt(key: string, element: SVGElement | undefined): void {
    if (element !== undefined) this.stops.set(key, element);
  }

  private drawNode(node: Node): SVGGElement {
    const [x, y] = [node.x - node.width / 2, node.y - node.height / 2];
    const label = `${spoken(node)}, ${node.note}${this.useOf(node)}`;
    const element = make("g", {
      "data-key": node.key,
      transform: `translate(${x} ${y})`,
      role: "button",
      tabindex: -1,
      "aria-label": label,
    });
    if (node.kind === "module") {
      element.setAttribute("aria-expanded", "false");
      element.append(make("rect", { class: "behind", x: 4, y: 4, width: node.width, height: node.height, rx: 7 }));
    }
    element.append(
      make("rect", {
        class: "box",
        width: node.width,
        height: node.height,
        rx: node.kind === "leaf" ? node.height / 2 : 7,
      }),
    );
    const name = make("text", { class: "name", x: 9, y: 17 });
    if (node.kind === "module") name.append(sign("▸"));
    name.append(node.title);
    element.append(name, make("text", { class: "note", x: 9, y: 32 }, node.note));
    const norm = make("text", { class: "norm", x: node.width - 9, y: 32 });
    element.append(norm, make("title", {}, label));
    const drawn = { node, element, norm, label, classes: "", shown: "" };
    this.nodes.push(drawn);
    this.byKey.set(node.key, drawn);
    this.element.append(element);
    return element;
  }

  /** What its note leaves out: which of its uses it is, and for whose loss: D is used once more for G's. */
  private useOf({ kind, call, ops }: Node): string {
    if (kind !== "module" || call.uses < 2) return "";
    const { lanes } = this.replay.trace;
    const of = lanes.filter((_, lane) => ops.some((op) => Number.isFinite(this.replay.reachedAt(lane, op))));
    const use = newUse(call) ? "" : `, ${useOf(call)}`;
    return `${use}${lanes.length > 1 && of.length ? `, for the loss of ${of.join(" and ")}` : ""}`;
  }

  /** Light what `step` has reached. */
  light(event: Event, step: number, lane: number): void {
    const { trace } = this.replay;
    const receiver = this.picture.of.get(event.op);
    const at = receiver && this.byKey.get(receiver.key);
    if (at && !this.element.contains(document.activeElement)) this.moveTab(at.element); // who comes by Tab begins there
    const sender = event.consumer === null ? undefined : this.picture.of.get(event.consumer);
    for (const drawn of this.nodes) {
      const { node } = drawn;
      const reached = node.ops.some((op) => this.replay.reachedAt(lane, op) <= step);
      const computed = node.ops.some((op) => (this.replay.forwardAt[op] as number) <= step);
      const current = node === receiver ? " current" : node === sender ? " sender" : "";
      const classes = `node ${node.kind}${computed ? " computed" : ""}${reached ? " reached" : ""}${current}`;
      if (classes !== drawn.classes) {
        drawn.element.setAttribute("class", (drawn.classes = classes));
        if (current === " current") drawn.element.setAttribute("aria-current", "step");
        else drawn.element.removeAttribute("aria-current");
      }
      if (node.kind === "module" || node.ops.length > 1) continue;
      const gradient = reached ? this.replay.gradient(lane, node.ops[0] as number, step) : null;
      const shown = gradient === null ? "" : `‖g‖ ${number(viewOf(trace, gradient).norm)}`;
      if (shown === drawn.shown) continue;
      drawn.norm.textContent = drawn.shown = shown;
      drawn.element.setAttribute("aria-label", drawn.label + shown.replace("‖g‖", ", gradient norm"));
    }
    for (const { element, classes } of this.edges)
      if (element.getAttribute("class") !== classes) element.setAttribute("class", classes);
  }

  /** How each line is drawn at a step, for `light`; all of them together, "plain" where one is nothing else. */
  looks(event: Event, step: number, lane: number): Set<string> {
    const backward = event.kind !== "forward";
    const receiver = this.picture.of.get(event.op);
    const found = new Set<string>();
    for (const drawn of this.edges) {
      const { edge } = drawn;
      const walked = edge.routes.some(([consumer, arg]) => this.replay.walkedAt(lane, consumer, arg) <= step);
      const lit = backward
        ? edge.routes.some(([c, a]) => c === event.consumer && a === event.arg)
        : edge.to === receiver && edge.routes.some(([c]) => c === event.op);
      const silent = edge.routes.some(([c, a]) => this.replay.silent(lane, c, a) !== null);
      const role = edge.role === "skip" || edge.role === "branch" ? ` ${edge.role}` : "";
      const look = `${role}${walked ? " walked" : ""}${silent ? " silent" : ""}${lit ? ` lit ${backward ? "up" : "down"}` : ""}`;
      drawn.classes = `edge${look}`;
      found.add(look || " plain");
    }
    return new Set([...found].flatMap((look) => look.trim().split(" ")));
  }

  nodeOf(op: number): SVGGElement | null {
    const node = this.picture.of.get(op);
    return node === undefined ? null : (this.byKey.get(node.key)?.element ?? null);
  }

  /** One node is in the tab order; the arrows move it. */
  private moveTab(element: SVGElement | null): void {
    this.tabbed?.setAttribute("tabindex", "-1");
    element?.setAttribute("tabindex", "0");
    this.tabbed = element;
  }

  focus(key: string): void {
    const element = this.stops.get(key);
    if (element === undefined) return;
    this.moveTab(element);
    element.focus();
  }

  /**
   * What a key of an earlier drawing has become: itself, closed or as a frame's label; the first node of a module that
   * opened without a frame, or the module that closed over it.
   */
  keyNow(key: string): string | null {
    if (this.stops.has(key)) return key;
    const inside = (call: Call | null): boolean => call !== null && (call.key === key || inside(call.parent));
    const first = this.nodes.find(({ node }) => inside(node.call));
    return first?.node.key ?? this.picture.of.get(Number(key.match(/\d+$/)?.[0]))?.key ?? null;
  }

  elementOf(key: string | null): SVGElement | null {
    return (key !== null && this.stops.get(key)) || null;
  }

  neighbour(key: string, by: number): string | null {
    const keys = [...this.stops.keys()];
    return keys[keys.indexOf(key) + by] ?? null;
  }
}

/** Its kind and its name; "constant #14", which has no other name, says its kind itself. */
const spoken = ({ kind, full }: Node): string => (kind === "op" || full.startsWith(`${kind} #`) ? full : `${kind} ${full}`);

/** Whether a module is open: a drawing before its name, which is no part of the name. */
const sign = (drawn: string): SVGTSpanElement => make("tspan", { "aria-hidden": "true" }, `${drawn} `);

/** What a frame is called inside the frames around it; those that could not be drawn are named here. */
function labelIn(call: Call, framed: Set<Call>): string {
  const line = [call.label];
  for (let c = call.parent; c !== null && c.parent !== null && !framed.has(c); c = c.parent) line.unshift(c.label);
  return called(line.join("."), call);
}

function markers(): SVGDefsElement {
  const defs = make("defs");
  for (const kind of ["plain", "skip", "branch", "lit"]) {
    const marker = make("marker", {
      id: `arrow-${kind}`,
      class: kind,
      viewBox: "0 0 8 8",
      refX: 7,
      refY: 4,
      markerWidth: 7,
      markerHeight: 7,
      markerUnits: "userSpaceOnUse",
      orient: "auto-start-reverse",
    });
    marker.append(make("path", { d: "M0 0.5 L8 4 L0 7.5 z" }));
    defs.append(marker);
  }
  return defs;
}

/** As many lines side by side as there are streams, at most eight; the arrow is at the end of the last, the middle one. */
function side(points: { x: number; y: number }[], streams: number): string {
  const n = Math.min(8, streams);
  const shifts = Array.from({ length: n }, (_, i) => 5 * (i - (n - 1) / 2)).sort((a, b) => Math.abs(b) - Math.abs(a));
  return shifts.map((shift) => curve(points.map(({ x, y }) => ({ x: x + shift, y })))).join(" ");
}

/** A smooth line: straight to the middle of each stretch, round the points between. */
function curve(points: { x: number; y: number }[]): string {
  const f = (v: number): string => v.toFixed(1);
  const [first, ...rest] = points;
  if (first === undefined) return "";
  let d = `M${f(first.x)} ${f(first.y)}`;
  rest.forEach((p, i) => {
    const next = rest[i + 1];
    if (next === undefined) d += ` L${f(p.x)} ${f(p.y)}`;
    else d += ` Q${f(p.x)} ${f(p.y)} ${f((p.x + next.x) / 2)} ${f((p.y + next.y) / 2)}`;
  });
  return d;
}
