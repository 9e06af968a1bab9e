// MathML repeats itself: the most frequent fragments become one character each, and the page puts them back.

export const FIRST = 0x100; // Latin Extended-A: two bytes each, and in no formula
const SLOTS = 96;
const LONGEST = 8; // tags and texts in one fragment

/** The texts with fragments replaced, and the fragments: what saves most is taken first. */
export function shorten(texts) {
  const fragments = [];
  let split = texts.map((text) => text.match(/<[^>]*>|[^<]+/g) ?? []);
  while (fragments.length < SLOTS) {
    const [best, saved] = frequent(split);
    if (saved <= 0) break;
    const sign = String.fromCharCode(FIRST + fragments.length);
    fragments.push(best.join(""));
    split = split.map((parts) => replaced(parts, best, sign));
  }
  return { texts: split.map((parts) => parts.join("")), fragments };
}

function frequent(split) {
  const counts = new Map();
  for (const parts of split)
    for (let i = 0; i < parts.length; i++)
      for (let n = 1; n <= LONGEST && i + n <= parts.length; n++) {
        const fragment = parts.slice(i, i + n);
        const key = fragment.join("\0");
        const found = counts.get(key);
        if (found === undefined) counts.set(key, { fragment, count: 1 });
        else found.count++;
      }
  let [best, most] = [[], 0];
  for (const { fragment, count } of counts.values()) {
    const size = Buffer.byteLength(fragment.join(""));
    const saved = count * (size - 2) - size - 3;
    if (saved > most) [best, most] = [fragment, saved];
  }
  return [best, most];
}

function replaced(parts, fragment, sign) {
  const out = [];
  for (let i = 0; i < parts.length;) {
    const here = fragment.every((part, k) => parts[i + k] === part);
    out.push(here ? sign : parts[i]);
    i += here ? fragment.length : 1;
  }
  return out;
}
