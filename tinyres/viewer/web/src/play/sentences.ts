// What the pictures show, in sentences: on the page, and for those who hear it.

import { many, number } from "../text";
import { isGame, lawOf, type Frame, type GameFrame, type NetFrame, type Start } from "./protocol";
import { plainly } from "./words";

const percent = (share: number): string => `${number(100 * share, 3)} %`;

/** One block with its numbers. */
export function blockText(start: Start, frame: NetFrame, i: number): string {
  const block = start.net?.blocks[i];
  if (block === undefined) return "";
  const [dead, share] = [frame.dead[i], frame.share[i]];
  return [
    `Block ${i + 1} of ${start.net?.blocks.length}: ${block.name}, ${block.kind}`,
    `signal ${plainly(frame.signal[i] ?? NaN)}`,
    `gradient ${plainly(frame.gradient[i] ?? NaN)}`,
    ...(share === null || share === undefined ? [] : [`${percent(share)} of the gradient comes by the skip`]),
    ...(dead === null || dead === undefined ? [] : [`${percent(dead)} of its units dead`]),
  ].join(", ");
}

/** Such as "27 blocks of 2 layers each". */
export function made({ net }: Start): string {
  const blocks = net?.blocks ?? [];
  const layers = [...new Set(blocks.map((block) => block.layers))];
  const each = layers.length === 1 && layers[0] ? ` of ${many(layers[0], "layer")} each` : "";
  return `${many(blocks.length, "block")}${each}`;
}

/** |gradient| at the first block by that at the last. */
export function ratio({ gradient }: NetFrame): number {
  return (gradient[0] ?? NaN) / (gradient.at(-1) ?? NaN);
}

/** Beyond it a fraction has a power of ten below the line, which can be read in two ways. */
const FRACTION = 1e5;
const even = (factor: number): boolean => plainly(factor) === "1" || plainly(1 / factor) === "1";

function times(factor: number): string {
  if (!(factor > 0 && factor < 1)) return `${plainly(factor)} times`;
  return 1 / factor < FRACTION ? `1/${plainly(1 / factor)}` : plainly(factor);
}

/** Such as "1/2000 of what", "3 times what", "as large as", to be followed by "it is". */
export function timesWhat(factor: number): string {
  if (even(factor)) return "as large as";
  return `${times(factor)} ${factor > 0 && factor < 1 ? "of what" : "what"}`;
}

export function depthText(start: Start, frame: NetFrame): string {
  const count = frame.gradient.length;
  const measured = ratio(frame);
  const first = Number.isFinite(measured)
    ? `At block 1 the gradient is ${timesWhat(measured)} it is at block ${count}.`
    : `The gradient of this step is not finite, or it is zero at block ${count}.`;
  const law = lawOf(start, frame);
  if (law === null) return `${first} No closed form is known for this net.`;
  const predicted = law.gradient === null ? NaN : ratio({ ...frame, gradient: law.gradient });
  if (!Number.isFinite(predicted)) return first;
  const gap =
    frame.law_gap !== null && Number.isFinite(frame.law_gap)
      ? `; the two lines are at most a factor of ${number(10 ** frame.law_gap, 3)} apart`
      : "";
  const whose = frame.step === 0 ? "The law says" : "The law, for the weights one starts from, says";
  const said = even(predicted) ? "it is as large" : times(predicted);
  const why = frame.step === 0 ? scattered(law.scatter ?? null) : " Training has changed the weights since.";
  return `${first} ${whose} ${said}${gap}.${why}`;
}

/** A law is of the mean over nets; this is one of them, until it is trained. */
const scattered = (factor: number | null): string =>
  ` A law is a mean over many nets, and one net scatters about it${factor === null ? "" : `: at this width and depth most lie within a factor of ${number(factor, 2)}`}.`;

export function probeText({ step, probe, gradient_g }: GameFrame): string {
  if (step === 0 && !Number.isFinite(gradient_g)) return "Nobody has taken a step yet: press Play.";
  const reached = `In the step that led here, the gradient that reached G had the norm ${plainly(gradient_g)}`;
  return probe === null
    ? `${reached}.`
    : `${reached}. The curve shows what one sample sends to G now, by what D says of it.`;
}

/** Where the players of a Dirac-GAN are. */
export function whereText(orbit: [number, number][]): string {
  const [theta, psi] = orbit.at(-1) ?? [NaN, NaN];
  return `θ = ${plainly(theta)}, ψ = ${plainly(psi)}`;
}

/** The state in one sentence. */
export function spoken(frame: Frame): string {
  const diverged = frame.diverged ? ` ${frame.diverged.text}` : "";
  if (!isGame(frame)) {
    const gradient = Number.isFinite(ratio(frame))
      ? `the gradient at the first block is ${timesWhat(ratio(frame))} it is at the last`
      : "the gradient is not finite, or it is zero at the last block";
    return `Step ${frame.step}: loss ${number(frame.loss, 3)}, ${gradient}.${diverged}`;
  }
  const where = frame.orbit ? `${whereText(frame.orbit)}, ` : "";
  if (frame.step === 0 && !Number.isFinite(frame.gradient_g)) return `Step 0: ${where}nobody has moved yet.`;
  return `Step ${frame.step}: ${where}D's loss ${number(frame.losses.d, 3)}, G's loss ${number(frame.losses.g, 3)}, gradient of G ${plainly(frame.gradient_g)}.${diverged}`;
}
