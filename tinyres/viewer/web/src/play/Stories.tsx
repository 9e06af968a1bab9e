// A known result: first somebody guesses, then the picture and the measured figure are shown.

import { scaleLog } from "d3-scale";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

import { Dialog } from "../Dialog";
import { choicesOf, lines, said, worded } from "./answers";
import type { Guess, Story, Value } from "./protocol";
import type { State } from "./state";
import type { Store } from "./store";
import { plainly } from "./words";

export function List({ store, state }: { store: Store; state: State }) {
  const { hello } = state;
  return (
    <Dialog close={() => store.set({ dialog: null })} title="Stories" wide>
      {(hello?.labs ?? []).map(({ name, title }) => {
        const stories = hello?.stories.filter(({ lab }) => lab === name) ?? [];
        return (
          stories.length > 0 && (
            <section class="stories" aria-label={title}>
              <h3>{title}</h3>
              <ul>
                {stories.map((story) => (
                  <li>
                    <button type="button" aria-current={state.story === story} onClick={() => store.tell(story)}>
                      <b>{story.title}</b>
                      <span>{story.text}</span>
                      <span class="asked">{story.guess.question}</span>
                      <span class="muted">{story.source}</span>
                    </button>
                  </li>
                ))}
              </ul>
            </section>
          )
        );
      })}
    </Dialog>
  );
}

/** The story that is being told. */
export function Told({ store, state, story }: { store: Store; state: State; story: Story }) {
  const { guess, told, answered } = state;
  const card = useRef<HTMLElement>(null);
  const waited = useRef<Story | null>(null); // for the answer to come, by which time the focus is elsewhere
  if (told && answered === null) waited.current = story;
  const yours: [string, string][] = guess === null ? [] : [["You said", said(story.guess, guess)]];
  const found = answered === null ? [] : lines(story, answered);
  const shown = [...yours, ...found];
  const text = answered === null ? toCome(story) : worded(story.answer.text, answered);
  const came = told && answered !== null && waited.current === story;
  const cited = answered && story.paper ? `${story.source}, ${story.paper}` : story.source; // a title may tell the answer
  // When the story ends, its button or Escape having been pressed in it, the focus goes where stories are begun.
  useLayoutEffect(
    () => () => {
      const root = card.current?.getRootNode() as Document | ShadowRoot | undefined;
      if (card.current?.contains(root?.activeElement ?? null)) root?.querySelector<HTMLElement>(".top .main")?.focus();
    },
    [],
  );
  // The button that was pressed is gone: the focus goes on to what came for it, which is read out.
  useLayoutEffect(() => {
    card.current?.querySelector<HTMLElement>(told ? ".answer" : "#question")?.focus();
  }, [story, told]);
  useLayoutEffect(() => {
    const panel = told && (card.current?.getRootNode() as ParentNode).querySelector(`[data-panel=${story.look}]`);
    if (panel) requestAnimationFrame(() => reveal(panel, card.current?.querySelector<HTMLElement>(".answer")));
  }, [told]);
  return (
    <section class="story" aria-labelledby="story-title" ref={card}>
      <header>
        <h2 id="story-title">{story.title}</h2>
        <button type="button" class="quiet" aria-label="End the story" onClick={() => store.set({ story: null })}>
          ✕
        </button>
      </header>
      <p id="story-text">{story.text}</p>
      {told ? (
        <div class="answer" role="group" tabIndex={-1} aria-labelledby="answer-said answer-text">
          {shown.length > 0 && (
            <dl id="answer-said">
              {shown.map(([word, what]) => (
                <div>
                  <dt>{word}</dt>
                  <dd>{what}</dd>
                </div>
              ))}
            </dl>
          )}
          <p id="answer-text">{text}</p>
        </div>
      ) : (
        <Question key={story.name} store={store} guess={story.guess} />
      )}
      <div class="hidden" role="status">
        {came && `The answer has come. ${found.map((line) => `${line.join(": ")}.`).join(" ")} ${text}`}
      </div>
      <p class="muted source">
        {story.url ? (
          <a href={story.url} target="_blank" rel="noreferrer">
            {cited}
          </a>
        ) : (
          cited
        )}
      </p>
    </section>
  );
}

/** What to do until the answer is there. */
const toCome = ({ answer: { steps, watch } }: Story): string =>
  steps
    ? `It is now to be measured: press Play. ${watch} The answer comes at step ${steps.toLocaleString("en")}.`
    : "Computing the first step …";

/** The picture comes into view, as far as the answer stays there, below the bar. */
function reveal(panel: Element, answer: HTMLElement | null | undefined): void {
  const bar = (panel.getRootNode() as ParentNode).querySelector(".transport");
  panel.scrollIntoView({ block: "nearest", behavior: "instant" });
  if (!answer) return;
  answer.style.scrollMarginTop = `${(bar?.clientHeight ?? 0) + 12}px`;
  answer.scrollIntoView({ block: "nearest", behavior: "instant" });
}

function Question({ store, guess }: { store: Store; guess: Guess }) {
  const answer = (value: Value | null): void => store.set({ guess: value, told: true });
  return (
    <div class="question" role="group" aria-labelledby="question">
      <p id="question" tabIndex={-1} aria-describedby="story-text">
        <b>{guess.question}</b>
      </p>
      <div class={`choices ${guess.kind}`}>
        {guess.kind === "slider" ? (
          <Slider guess={guess} answer={answer} />
        ) : (
          choicesOf(guess).map(({ value, label }) => (
            <button type="button" onClick={() => answer(value)}>
              {label}
            </button>
          ))
        )}
        <button type="button" class="quiet" onClick={() => answer(null)}>
          Show it without a guess
        </button>
      </div>
    </div>
  );
}

const STOPS = 200;

function Slider({ guess, answer }: { guess: Guess; answer: (value: number) => void }) {
  const { min = 0, max = 1, scale } = guess;
  const [place, setPlace] = useState(STOPS / 2);
  const raw = scale === "log" ? scaleLog([min, max], [0, STOPS]).invert(place) : min + ((max - min) * place) / STOPS;
  const value = Number(raw.toPrecision(2));
  return (
    <>
      <span aria-hidden="true">{plainly(min)}</span>
      <input
        type="range"
        min={0}
        max={STOPS}
        value={place}
        aria-labelledby="question"
        aria-valuetext={plainly(value)}
        onInput={(e) => setPlace(Number(e.currentTarget.value))}
      />
      <span aria-hidden="true">{plainly(max)}</span>
      <button type="button" class="main" onClick={() => answer(value)}>
        I say {plainly(value)}
      </button>
    </>
  );
}
