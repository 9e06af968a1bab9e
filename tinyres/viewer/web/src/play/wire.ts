// How messages travel: a WebSocket, the model of a notebook's widget, or a recording in the page.

import { message, type Message, type Sent } from "./protocol";

export interface Wire {
  send(message: Sent): void;
  /** Ends it and says so to nobody. */
  close(): void;
}

export interface Ears {
  onopen(): void;
  onmessage(message: Message): void;
  onclose(why: string): void;
}

const FULL = 1013; // WebSocket's code for "try again later"
export const BUSY = "The server has no room for another page.";

/** The server that the page came from; the token is in its address. */
export function socket(ears: Ears): Wire {
  const token = new URLSearchParams(location.search).get("token") ?? "";
  const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws?token=${encodeURIComponent(token)}`;
  const made = new WebSocket(address);
  let opened = false;
  made.onopen = () => {
    opened = true;
    ears.onopen();
  };
  made.onmessage = (event) => ears.onmessage(message(JSON.parse(event.data as string)));
  made.onclose = ({ code }) =>
    ears.onclose(code === FULL ? BUSY : opened ? "The server has gone." : "The server does not answer.");
  return {
    send: (sent) => made.readyState === WebSocket.OPEN && made.send(JSON.stringify(sent)),
    close: () => {
      made.onclose = made.onmessage = null;
      made.close();
    },
  };
}

export interface Model {
  send(content: unknown): void;
  on(name: string, listener: (content: unknown) => void): void;
  off(name: string, listener: (content: unknown) => void): void;
}

export function widget(model: Model, ears: Ears): Wire {
  const listener = (content: unknown): void => ears.onmessage(message(content));
  const gone = (): void => ears.onclose("The kernel has closed this widget.");
  model.on("msg:custom", listener);
  model.on("comm:close", gone);
  queueMicrotask(() => ears.onopen());
  return {
    send: (sent) => model.send(sent),
    close: () => {
      model.off("msg:custom", listener);
      model.off("comm:close", gone);
    },
  };
}

/** The messages that were saved in this page, if any were. */
export function recording(): Message[] | null {
  const text = document.getElementById("tinyres-play-data")?.textContent;
  if (!text) return null;
  const given: unknown = JSON.parse(text);
  if (!Array.isArray(given)) throw new Error("the recording is no list of messages");
  return given.map(message);
}
