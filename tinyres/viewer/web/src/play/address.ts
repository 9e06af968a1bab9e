// #lab=net&depth=50&...: the whole setting, so that a link opens the same. Read once, and whenever it is changed by hand.

import type { LabName, Setting, Value } from "./protocol";

export interface Asked {
  lab?: LabName;
  story?: string;
  setting: Setting;
}

export function read(hash: string): Asked {
  const asked: Asked = { setting: {} };
  for (const [name, text] of new URLSearchParams(hash.replace(/^#/, "")))
    if (name === "story") asked.story = text;
    else if (name === "lab") asked.lab = text === "game" ? "game" : "net";
    else asked.setting[name] = valueOf(text);
  return asked;
}

export function written(lab: LabName, setting: Setting, story: string | null): string {
  const parts = new URLSearchParams({ lab });
  if (story !== null) parts.set("story", story);
  for (const [name, value] of Object.entries(setting)) parts.set(name, String(value));
  return `#${parts}`;
}

function valueOf(text: string): Value {
  if (text === "true" || text === "false") return text === "true";
  return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}
