// The page.

import { Help, Search } from "./Dialogs";
import { Graph } from "./Graph";
import { Run } from "./HeatMap";
import { CURRENT, focusOn } from "./keyboard";
import type { Recording, State, Store } from "./state";
import { Step } from "./Step";
import { Table } from "./Table";
import { Tools } from "./Tools";
import { Transport } from "./Transport";

export function App({ store, state }: { store: Store; state: State }) {
  const { recording, run, data } = store;
  return (
    <>
      <header class="top">
        {recording !== null && (
          <button type="button" class="jump" onClick={() => focusOn(CURRENT)}>
            Skip to the {state.view}
          </button>
        )}
        <h1 title={data.title}>{data.title || "A recording"}</h1>
        <span class="muted">tinyres {data.tinyres}</span>
        <span class="space" />
        {recording === null ? (
          <HelpButton store={store} />
        ) : (
          <Tools class="tools" label="View, search and help">
            <Controls store={store} state={state} recording={recording} />
            <HelpButton store={store} />
          </Tools>
        )}
      </header>
      <main class={recording === null ? "only-run" : run.length ? "both" : "only-trace"}>
        {recording !== null && (
          <div class="trace">
            <Transport store={store} recording={recording} state={state} />
            <section class="left" aria-label={state.view === "graph" ? "Graph" : "Table"}>
              {state.view === "graph" ? (
                <Graph store={store} recording={recording} state={state} />
              ) : (
                <Table store={store} recording={recording} state={state} />
              )}
            </section>
            <Step store={store} recording={recording} state={state} />
          </div>
        )}
        {run.length > 0 && <Run store={store} lanes={run} chosen={state.runStep} alone={recording === null} />}
        {recording === null && run.length === 0 && (
          <p class="empty">This recording is empty: it contains neither a step nor a training run.</p>
        )}
      </main>
      <p class="hidden" id="said" aria-live="polite">
        {state.said}
      </p>
      {state.dialog === "help" && <Help store={store} />}
      {state.dialog === "search" && recording !== null && <Search store={store} recording={recording} />}
    </>
  );
}

const HelpButton = ({ store }: { store: Store }) => (
  <button type="button" onClick={() => store.set({ dialog: "help", playing: false })}>
    Help <kbd>?</kbd>
  </button>
);

/** Turns between a size that can be read with ease and more of the graph; it says which comes next. */
function Fit({ store, zoom }: { store: Store; zoom: number | null }) {
  const percent = (scale: number): string => `${Math.round(100 * scale)} %`;
  const off = zoom === null && store.inView;
  const [text, next] = off
    ? ["fit", "all of the graph is in view"]
    : zoom === null
      ? ["fit", "show more of the graph in smaller print"]
      : [`to ${percent(store.fitting)}`, `a size that can be read with ease; it is at ${percent(zoom)}`];
  return (
    <button type="button" aria-label={`${text}: ${next}`} title={next} aria-disabled={off} onClick={() => store.fit()}>
      {text}
    </button>
  );
}

function Controls({ store, state, recording }: { store: Store; state: State; recording: Recording }) {
  return (
    <>
      <div class="segments" role="group" aria-label="View">
        {(["graph", "table"] as const).map((view) => (
          <button type="button" aria-pressed={state.view === view} onClick={() => store.show(view)}>
            {view === "graph" ? "Graph" : "Table"}
          </button>
        ))}
      </div>
      {state.view === "graph" && (
        <>
          <div class="segments" role="group" aria-label="Zoom">
            <button type="button" aria-label="Zoom out" onClick={() => store.zoomBy(0.8)}>
              −
            </button>
            <Fit store={store} zoom={state.zoom} />
            <button type="button" aria-label="Zoom in" onClick={() => store.zoomBy(1.25)}>
              +
            </button>
          </div>
          {recording.calls.byKey.size > 0 && (
            <button type="button" onClick={() => store.toggleAll()}>
              {store.allOpen ? "Close all" : "Open all"}
            </button>
          )}
        </>
      )}
      <button type="button" onClick={() => store.set({ dialog: "search", playing: false })}>
        Search <kbd>/</kbd>
      </button>
    </>
  );
}
