// What a run itself answers to a story's question, once it has come to the steps that the story names.

import { many, number } from "../text";
import { isGame, type Frame, type Guess, type Story, type Value } from "./protocol";
import { ratio, timesWhat } from "./sentences";
import type { Seen, State } from "./state";
import { plainly } from "./words";

/** With the picture that answers, kept from when it came: what is done to the run afterwards does not change it. */
export function settled(state: State): State {
  const { story, told, seen, answered } = state;
  const due = answered === null && told && story !== null && seen?.start.lab === story.lab;
  return due && seen.frame.step >= (story.answer.steps ?? 0) ? { ...state, answered: seen } : state;
}

type Choice = { value: Value; label: string };
export const choicesOf = (guess: Guess): Choice[] =>
  (guess.choices ?? []).map((choice) => (typeof choice === "string" ? { value: choice, label: choice } : choice));

export function said(guess: Guess, value: Value): string {
  if (guess.kind === "buttons") return choicesOf(guess).find((choice) => choice.value === value)?.label ?? String(value);
  return typeof value === "number" ? plainly(value) : String(value);
}

/** What stands in the answer, a word before each: nothing is called measured that is not. */
export function lines({ guess, answer }: Story, { start, frame }: Seen): [string, string][] {
  const known: [string, string][] = answer.value != null ? [["Measured", said(guess, answer.value)]] : [];
  if (!answer.steps) return known;
  const found = measured(answer.measure, start.setting, frame);
  const [at, prepared] = [`at step ${frame.step}`, known.map(([, text]): [string, string] => ["Known from several runs", text])];
  if (found === null) return prepared;
  const { value, text } = found;
  if (value === undefined || guess.kind === "slider") return [[`Measured ${at}`, text]];
  const choice = choicesOf(guess).find((choice) => choice.value === value);
  return choice ? [[`Measured ${at}`, `${choice.label}: ${text}`]] : [[`In this run, ${at}`, text], ...prepared];
}

interface Found {
  /** A button's; without one it is not settled, or a number. */
  value?: string | undefined;
  text: string;
}

function measured(what: Story["answer"]["measure"], { theta, psi }: Record<string, Value>, frame: Frame): Found | null {
  if (!isGame(frame)) return null;
  const { gradient_g, modes, orbit } = frame;
  if (what === "gradient") return { text: plainly(gradient_g) };
  if (what === "modes" && modes)
    return { value: modes.found < modes.of ? "no" : "yes", text: `${number(modes.found)} of ${many(modes.of, "mode")}` };
  if (what !== "orbit" || !orbit) return null;
  const [before, now] = [Math.hypot(Number(theta), Number(psi)), Math.hypot(...(orbit.at(-1) ?? [NaN]))];
  const text = `distance ${plainly(now)}, after ${plainly(before)} at first`;
  const share = now / before;
  return { value: share < 0.1 ? "meet" : share > 2 ? "leave" : share > 0.5 && goesRound(orbit) ? "circle" : undefined, text };
}

/** Once round (0, 0) at least. */
function goesRound(orbit: [number, number][]): boolean {
  let turned = 0;
  orbit.forEach(([x, y], i) => {
    const [a, b] = orbit[i - 1] ?? [x, y];
    turned += Math.atan2(a * y - b * x, a * x + b * y);
  });
  return Math.abs(turned) >= 2 * Math.PI;
}

/** The answer in words, with the figure of this run where it says so. */
export const worded = (text: string, { frame }: Seen): string =>
  isGame(frame) ? text : text.replace("{step}", String(frame.step)).replace("{first}", timesWhat(ratio(frame)));
