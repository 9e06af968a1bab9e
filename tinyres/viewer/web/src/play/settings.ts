// Settings: what a lab opens with, what a picture was made with, and whether two are the same.

import type { Knob, Setting } from "./protocol";
import type { Seen } from "./state";

export const defaults = (knobs: readonly Knob[]): Setting => Object.fromEntries(knobs.map((knob) => [knob.name, knob.default]));

/** The values that knobs can show, over the defaults; whether they are allowed, the engine says. */
export function suiting(asked: Setting, knobs: readonly Knob[]): Setting {
  const own = defaults(knobs);
  const known = Object.entries(asked).filter(([name, value]) => typeof value === typeof own[name]);
  return { ...own, ...Object.fromEntries(known) };
}

/** The setting of the step that is seen. */
export const settingOf = ({ start, frame }: Seen): Setting => ({ ...start.setting, ...frame.turned });

export function same(a: Setting, b: Setting): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}
