// Validates a document: what schema.json requires, and what it cannot express. A page may come from anywhere, or be damaged.

type Unknown = Record<string, unknown>;

const LARGEST = 1e7; // upper limit on training steps, and on elements along a drawn axis

function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

const isList = (value: unknown): value is unknown[] => Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === "string";
const isNumber = (value: unknown): boolean =>
  typeof value === "number" || value === "NaN" || value === "Infinity" || value === "-Infinity";
const below = (value: unknown, end: number): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < end;
const every = (value: unknown, holds: (entry: unknown) => boolean): boolean => isList(value) && value.every(holds);

function object(value: unknown, what: string): Unknown {
  must(typeof value === "object" && value !== null && !isList(value), `${what} is not an object`);
  return value as Unknown;
}

function list(value: unknown, what: string): unknown[] {
  must(isList(value), `${what} is not a list`);
  return value;
}

/** Throws an error that names the first problem, if there is one. */
export function check(found: Unknown): void {
  must(isText(found["title"]), "the title is not a text");
  if (found["trace"] !== null) checkTrace(object(found["trace"], "trace"));
  if (found["run"] !== null) {
    const lanes = list(object(found["run"], "run")["lanes"], "run");
    must(lanes.length > 0, "run has no lanes");
    lanes.forEach((lane) => checkLane(object(lane, "a lane")));
  }
}

function checkTrace(trace: Unknown): void {
  const lanes = list(trace["lanes"], "lanes");
  const [ops, arrays, events] = ["ops", "arrays", "events"].map((name) => list(trace[name], name)) as [
    unknown[],
    unknown[],
    unknown[],
  ];
  must(lanes.length > 0 && lanes.every(isText), "the lanes are not a list of names");
  const places = list(trace["places"] ?? [], "places");
  must(every(places, (p) => isList(p) && isText(p[0]) && below(p[1], LARGEST) && isText(p[2])), "a place is invalid");
  for (const rule of Object.values(object(trace["rules"], "rules"))) {
    const { forward, args } = object(rule, "a rule");
    must((forward === undefined || isText(forward)) && Object.values(object(args, "a rule's args")).every(isText), "a rule is not a text");
  }
  ops.forEach((value, id) => {
    const op = object(value, `operation ${id}`);
    const known: Record<string, (entry: unknown) => boolean> = {
      kind: isText,
      shape: (entry) => every(entry, (size) => below(size, Number.MAX_SAFE_INTEGER)),
      dtype: isText,
      name: isText,
      path: isText,
      inputs: (entry) => every(entry, (input) => input === null || below(input, id)),
      args: (entry) => every(entry, isText) && (entry as unknown[]).length === ((op["inputs"] ?? []) as unknown[]).length,
      roles: (entry) => every(entry, isText),
      static: (entry) => Object.values(object(entry, "static")).every(isText),
      again: (entry) => entry === true,
      value: (entry) => below(entry, arrays.length),
      place: (entry) => below(entry, places.length),
    };
    for (const name of ["kind", "shape", "dtype", ...Object.keys(op)])
      must(known[name]?.(op[name]) ?? false, `operation ${id} has invalid ${name}`);
    must(op["inputs"] === undefined || op["args"] !== undefined, `the inputs of operation ${id} have no names`);
  });
  arrays.forEach((value, place) => checkArray(object(value, `array ${place}`), `array ${place}`));
  checkEvents(events, lanes.length, ops as Unknown[], arrays as Unknown[]);
  for (const value of list(trace["joins"], "joins")) {
    const join = object(value, "a join");
    const sound = below(join["lane"], lanes.length) && below(join["op"], ops.length) && isText(join["name"]);
    must(sound && (join["angle"] === null || typeof join["angle"] === "number"), "a join is invalid");
    for (const entry of list(join["routes"], "routes")) {
      const { role, event, norm } = object(entry, "a route");
      must(isText(role) && below(event, events.length) && isNumber(norm), "a route is invalid");
      must((events[event] as unknown[])[0] === "a", "the event of a route is not an accumulation");
    }
  }
  must(Object.values(object(trace["modules"] ?? {}, "modules")).every(isText), "the class of a module is not a text");
  for (const value of list(trace["silent"] ?? [], "silent")) {
    const { lane, op, arg, text } = object(value, "a silent route");
    const inputs = below(op, ops.length) ? (((ops[op] as Unknown)["inputs"] ?? []) as unknown[]) : [];
    must(below(lane, lanes.length) && below(arg, inputs.length) && isText(text), "a silent route is invalid");
  }
  if (trace["first"] != null) {
    const { event, text } = object(trace["first"], "first");
    must(below(event, events.length) && isText(text), "what to look at first is invalid");
  }
  for (const [key, place] of Object.entries(object(trace["grads"], "grads"))) {
    const [lane, op] = key.split(":").map(Number);
    must(below(lane, lanes.length) && below(op, ops.length) && below(place, arrays.length), "a gradient belongs to no operation");
  }
}

function checkArray(array: Unknown, what: string): void {
  must(
    every(array["s"], (size) => below(size, Number.MAX_SAFE_INTEGER)),
    `${what} has no shape`,
  );
  must(isNumber(array["n"]), `${what} has no norm`);
  const size = (array["s"] as number[]).reduce((a, b) => a * b, 1);
  if (array["v"] !== undefined)
    must(every(array["v"], isNumber) && (array["v"] as unknown[]).length === size, `${what} does not have the size of its shape`);
  else {
    must(isText(array["t"]) && /^[A-Za-z0-9+/]{86}==$/.test(array["t"]), `${what} has no thumbnail`);
    must(["lo", "hi", "z", "tlo", "thi"].every((name) => isNumber(array[name])), `${what} has no range`);
    if (array["h"] !== undefined) {
      const picture = (head: unknown): boolean => isText(head) && /^[A-Za-z0-9+/]{86}==$/.test(head);
      must(every(array["h"], picture) && isNumber(array["hlo"]) && isNumber(array["hhi"]), `${what} has no heads`);
    }
  }
}

function checkEvents(events: unknown[], lanes: number, ops: Unknown[], arrays: Unknown[]): void {
  const like = (place: unknown, op: unknown): boolean =>
    below(place, arrays.length) && String((arrays[place] as Unknown)["s"]) === String((ops[op as number] as Unknown)["shape"]);
  events.forEach((value, i) => {
    const [kind, ...rest] = list(value, `event ${i}`);
    const what = `event ${i} is invalid`;
    if (kind === "f") return must(rest.length === 1 && below(rest[0], ops.length), what);
    must(below(rest[0], lanes) && below(rest[1], ops.length), what);
    if (kind === "s") return must(rest.length === 3 && like(rest[2], rest[1]), what);
    const [, consumer, arg, op, contribution, before, total] = rest;
    must(kind === "r" ? rest.length === 5 : kind === "a" && rest.length === 7, what);
    const inputs = ((ops[consumer as number] as Unknown)["inputs"] ?? []) as unknown[];
    must(below(arg, inputs.length) && below(op, ops.length) && inputs[arg] === op && like(contribution, op), what);
    must(kind === "r" || ((before === null || like(before, op)) && like(total, op)), what);
  });
}

function checkLane(lane: Unknown): void {
  const { name, layers, steps, log10, skip_share: share, loss } = lane;
  must(isText(name) && every(layers, isText) && every(steps, (step) => below(step, LARGEST)), "a lane of the training is invalid");
  const maybe = (entry: unknown): boolean => entry === null || isNumber(entry);
  const columns = (steps as unknown[]).length;
  const row = (entry: unknown): boolean => every(entry, maybe) && (entry as unknown[]).length === columns;
  const rows = (entry: unknown): boolean => isList(entry) && entry.length === (layers as unknown[]).length;
  must(rows(log10) && every(log10, row), "the norms of a lane do not match its layers and steps");
  must(share === null || (rows(share) && every(share, (entry) => entry === null || row(entry))), "the skip shares of a lane do not match its layers and steps");
  must(loss === null || row(loss), "the losses of a lane do not match its steps");
  for (const value of list(lane["curves"] ?? [], "curves")) {
    const { title, log, lines } = object(value, "a chart");
    must(isText(title) && typeof log === "boolean", "a chart is invalid");
    for (const entry of list(lines, "the lines of a chart")) {
      const line = object(entry, "a line");
      must(isText(line["name"]) && row(line["values"]), "a line of a chart does not match the steps of its lane");
    }
  }
}
