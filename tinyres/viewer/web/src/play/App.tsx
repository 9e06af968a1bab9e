// The page.

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";

import { Bar, Top } from "./Bar";
import { Computing } from "./chart";
import { Depth } from "./Depth";
import { Help, Link, Script } from "./Dialogs";
import { Game } from "./Game";
import { Knobs } from "./Knobs";
import { many } from "../text";
import { Boundary } from "./Plane";
import { isGame, type Frame, type NetFrame } from "./protocol";
import { Ribbon } from "./Ribbon";
import { spoken } from "./sentences";
import { isComputing, type Seen, type State } from "./state";
import type { Store } from "./store";
import { List, Told } from "./Stories";
import { Curves, Heat } from "./Training";
import { BUSY } from "./wire";

export function App({ store, state }: { store: Store; state: State }) {
  const { hello, setting, lab, seen, story, dialog, script, sheet } = state;
  const { knobs, local } = store;
  const computing = isComputing(state);
  const aside = useMemo(() => <Knobs store={store} knobs={knobs} setting={setting} off={local} sheet={sheet} />, [hello, lab, setting, local, sheet]);
  const veil = (panel: string): ComponentChildren =>
    story !== null && hides(story.look, panel) && !state.told && <p>Guess first: then this picture is shown.</p>;
  return (
    <>
      <Top store={store} state={state} />
      <Bar store={store} state={state} />
      <Said store={store} state={state} />
      <div class="body">
        {aside}
        <main tabIndex={-1}>
          {story && <Told store={store} state={state} story={story} />}
          {seen === null ? (
            <p class="empty">{waiting(state)}</p>
          ) : (
            <div class={`shown ${computing ? (state.anew ? "computing restarted" : "computing") : ""}`} aria-busy={computing}>
              <Computing.Provider value={computing}>
                {isGame(seen.frame) ? (
                  <Game seen={seen} frame={seen.frame} veil={veil} />
                ) : (
                  <Net store={store} state={state} seen={seen} frame={seen.frame} veil={veil} />
                )}
              </Computing.Provider>
            </div>
          )}
        </main>
      </div>
      <Spoken
        frame={computing ? null : (seen?.frame ?? null)}
        waiting={waiting(state)}
        playing={state.playing || (state.link === "open" && seen?.frame.playing === true)} // until it has stopped
        guessing={story !== null && !state.told}
      />
      {dialog === "help" && <Help store={store} state={state} />}
      {dialog === "stories" && <List store={store} state={state} />}
      {dialog === "script" && script !== null && <Script store={store} script={script} />}
      {dialog === "link" && <Link store={store} state={state} />}
    </>
  );
}

/** Panels that would give away what another one shows. */
const SAME = [["net", "depth", "heat"], ["loss", "accuracy", "boundary"], ["probe", "gradients"]];

const hides = (look: string, panel: string): boolean =>
  look === panel || SAME.some((panels) => panels.includes(look) && panels.includes(panel));

const waiting = ({ link, why }: State): string =>
  link === "connecting" ? "Connecting …" : link === "lost" ? why : "Computing the first step …";

interface NetProps {
  store: Store;
  state: State;
  seen: Seen;
  frame: NetFrame;
  veil: (panel: string) => ComponentChildren;
}

function Net({ store, state, seen, frame, veil }: NetProps) {
  const { start, history } = seen;
  const { step } = frame;
  const hasAccuracy = frame.accuracy !== null;
  return (
    <div class="net-lab">
      <div class="deep">
        <Ribbon store={store} state={state} start={start} frame={frame} blank={Boolean(veil("net"))} />
        <Depth start={start} frame={frame} block={state.block} veil={veil("depth")} onBlock={(block) => store.set({ block })} />
      </div>
      <div class="curves">
        <Curves name="loss" title="Loss" height={hasAccuracy ? 150 : 240} curves={LOSS} {...{ history, step }} veil={veil("loss")} />
        {hasAccuracy && (
          <Curves name="accuracy" title="Accuracy of the batch" height={110} domain={[0, 1]} curves={ACCURACY} {...{ history, step }} veil={veil("accuracy")} />
        )}
      </div>
      <Heat history={history} step={step} blocks={frame.gradient.length} height={hasAccuracy ? 310 : 222} veil={veil("heat")} />
      {start.data && <Boundary start={start} frame={frame} height={330} veil={veil("boundary")} />}
    </div>
  );
}

const LOSS = [{ column: "loss", name: "loss", class: "plain-line" }];
const ACCURACY = [{ column: "accuracy", name: "accuracy", class: "plain-line" }];

/** What the engine or the line has to say. */
function Said({ store, state }: { store: Store; state: State }) {
  const { link, why, seen, notices } = state;
  const diverged = (!(state.anew && isComputing(state)) && seen?.frame.diverged) || null; // not of a run that is over
  const twin = notices.find(({ text }) => text === diverged?.text);
  const mend = twin?.mend;
  const before = diverged && Math.max(seen?.frame.kept[0] ?? 0, diverged.step - 1);
  return (
    <div class="said">
      {link === "replay" && (
        <p class="notice">
          <span>
            This page is a recording of {many(store.frames.length, "picture")}: its knobs show the setting and cannot be turned. To
            record more, run <code>tinyres play</code>, press Play, and keep the page again.
          </span>
        </p>
      )}
      {link === "lost" && (
        <p class="notice error" role="alert">
          <span>
            {why} {store.frames.length > 0 && "What it sent is still here: the slider moves along the last pictures."}{" "}
            {why === BUSY ? "Close one of the others, then" : <>Start <code>tinyres play</code> again, or</>}
          </span>
          <button type="button" onClick={() => store.begin()}>
            Connect again
          </button>
        </p>
      )}
      {diverged && (
        <p class="notice error" role="alert">
          <span>{diverged.text}</span>
          {!store.local && (
            <>
              {mend ? (
                <button type="button" onClick={() => store.send(mend.message)}>
                  {mend.label}
                </button>
              ) : (
                <button type="button" onClick={() => store.seek(before as number)}>
                  Go back to step {before}
                </button>
              )}
              <button type="button" onClick={() => store.reset()}>
                Start anew
              </button>
            </>
          )}
        </p>
      )}
      {notices.filter((notice) => notice !== twin).map((notice) => (
        <p class={`notice ${notice.level}`} role="alert" key={notice.text}>
          <span>{notice.text}</span>
          {notice.mend && !store.local && (
            <button type="button" onClick={() => (store.send(notice.mend!.message), store.dismiss(notice))}>
              {notice.mend.label}
            </button>
          )}
          <button type="button" class="quiet" aria-label="Dismiss" onClick={() => store.dismiss(notice)}>
            ✕
          </button>
        </p>
      ))}
    </div>
  );
}

const [SELDOM, SOON] = [4000, 700]; // ms between two sentences while it plays; of quiet before one that follows another

interface SpokenProps {
  /** Null while it is being computed. */
  frame: Frame | null;
  waiting: string;
  playing: boolean;
  guessing: boolean;
}

/**
 * One sentence for those who listen: at every single step, now and then while it plays, and once for a knob that is
 * dragged. That something is being computed is said only if it takes a while.
 */
function Spoken({ frame, waiting, playing, guessing }: SpokenProps) {
  const [said, say] = useState("");
  const last = useRef({ changed: -SELDOM, said: -SELDOM });
  const [before, paused] = [useRef(playing), useRef(false)];
  paused.current = !playing && (paused.current || before.current);
  before.current = playing;
  const text = frame === null ? waiting : guessing ? `Step ${frame.step}` : spoken(frame);
  useLayoutEffect(() => {
    const now = performance.now();
    const quiet = now - last.current.changed > SOON;
    last.current.changed = now;
    const tell = (): void => {
      last.current.said = performance.now();
      say(paused.current && frame !== null ? text.replace("Step", "Paused at step") : text);
      paused.current = false;
    };
    if (playing && frame !== null) return void (now - last.current.said > SELDOM && tell());
    if (quiet && frame !== null) return tell();
    const timer = setTimeout(tell, SOON);
    return () => clearTimeout(timer);
  }, [text, playing]);
  return (
    <p class="hidden" role="status" aria-live="polite">
      {said}
    </p>
  );
}
