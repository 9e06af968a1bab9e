// The same page in a notebook's cell: anywidget calls render. The style stays inside a shadow root.

import { render as draw } from "preact";

import { App } from "./App";
import { spareSliders } from "../pinch";
import { listen, player, release } from "./keys";
import { Store } from "./store";
import { STYLE } from "./style";
import { widget, type Model } from "./wire";

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const shadow = (el.shadowRoot ?? el.attachShadow({ mode: "open" })) as ShadowRoot;
  const style = document.createElement("style");
  style.textContent = STYLE;
  const root = document.createElement("div");
  root.id = "play";
  root.className = "cell";
  root.tabIndex = -1;
  shadow.replaceChildren(style, root);
  let wire: { close(): void } | null = null;
  const store = new Store((ears) => (wire = widget(model, ears)) as ReturnType<typeof widget>, false);
  let asked = false;
  const show = (): void => {
    asked = false;
    root.dataset["theme"] = store.state.theme === "auto" ? ground(el) : store.state.theme;
    draw(<App store={store} state={store.state} />, root);
  };
  store.watch(() => {
    if (!asked) requestAnimationFrame(show);
    asked = true;
  });
  player(store);
  listen(store, root);
  release(root);
  spareSliders(root);
  store.begin();
  return () => {
    wire?.close();
    draw(null, root);
  };
}

/** Notebooks have themes of their own: what lies behind the cell decides. */
function ground(el: HTMLElement): "light" | "dark" {
  for (let at: HTMLElement | null = el; at !== null; at = at.parentElement) {
    const [r = 0, g = 0, b = 0, a = 1] = getComputedStyle(at).backgroundColor.match(/[\d.]+/g)?.map(Number) ?? [];
    if (a > 0) return 0.3 * r + 0.59 * g + 0.11 * b < 128 ? "dark" : "light";
  }
  return "light";
}

export default { render };
