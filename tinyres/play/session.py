"""A session: one page, one run, one thread that trains. It knows messages, not how they travel.

Messages from the page are answered by the thread between two steps, what is wrong with them at once. Frames are made
only when the page has drawn the last one, at most thirty a second: none is ever queued.

A message that changes what is shown may carry `ask`, a whole number, and so may one that plays or pauses. What is sent
carries the last one that has been followed, so the page knows whether a picture is of the knobs that it shows, or still
of those before, and whether the run has heard of the last play or pause.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tinyres.play import keep, script, words
from tinyres.play.labs import LABS, Lab
from tinyres.play.messages import ANEW, Message, Wrong, ask_of, hello, kind_of, lab_of, merged, short, values_of, whole
from tinyres.play.stories import STORIES
from tinyres.play.tape import Tape

FRAME, PICTURE = 1 / 30, 0.25  # seconds from one frame, and from one dear picture, to the next
SHARE = 0.15  # of the time that dear pictures may take at most while a run plays


class Session:
    """Trains for one page.

    Args:
        send: is given every message for the page, from the session's own thread or from that which calls `receive`.
    """

    def __init__(self, send: Callable[[Message], object]) -> None:
        self._send, self._run = send, 0
        self._tape: Tape | None = None
        self._asked: tuple[Lab, dict[str, Any]] | None = None  # the setting that the last answer named
        self._ask: int | None = None
        self._inbox: list[Message] = []
        self._changed, self._closed = threading.Condition(), False
        self._playing, self._todo = False, 0
        self._speed: float | None = None
        self._ready, self._fresh = True, False
        self._next_step = self._last_frame = self._next_picture = self._begun = 0.0
        self._rate, self._seconds = 0.0, 0.0
        self._thread = threading.Thread(target=self._work, name="tinyres-play", daemon=True)
        self._thread.start()

    # -- from outside -----------------------------------------------------------------------------------------------
    def receive(self, message: Any) -> None:
        """A message from the page. It returns at once."""
        try:
            kind = kind_of(message)
        except Wrong as error:
            self._tell("warning", str(error))
            return
        with self._changed:
            if kind == "ready":
                self._ready = True
            else:
                self._inbox.append(message)
            alone = all(waiting["type"] == "set" for waiting in self._inbox)
            self._changed.notify()
        if kind == "set" and alone:
            self._answer(message)

    def close(self, patience: float = 0.5) -> None:
        """End the training; wait for a step in progress no longer than `patience` seconds."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join(patience)

    def _answer(self, message: Message) -> None:
        """Say what a turned knob will come to, without waiting for a step in progress."""
        if self._asked is not None:
            lab, asked = self._asked
            with suppress(ValueError):  # the thread says what is wrong
                asked, _ = lab.fit(lab.setting(values_of(message["values"]), asked))
                self._asked = lab, asked
                self._tell_setting(ask_of(message, self._ask))

    # -- the thread -------------------------------------------------------------------------------------------------
    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._inbox and not self._closed and not self._due():
                    self._changed.wait(self._patience())
                inbox, self._inbox = self._inbox, []
                if self._closed:
                    return
            try:
                for message in merged(inbox):
                    self._follow(message)
                if self._moves() and time.monotonic() >= self._next_step:
                    self._take()
                self._show()
            except Exception as error:  # whatever it is, the page learns of it and can go on
                self._playing, self._todo, self._fresh = False, 0, True
                traceback.print_exc()
                self._tell("error", f"{type(error).__name__}: {error}")

    def _moves(self) -> bool:
        return self._tape is not None and (self._playing or self._todo > 0)

    def _due(self) -> bool:
        """Whether there is something to do now."""
        now = time.monotonic()
        return (self._moves() and now >= self._next_step) or (self._pending() and now >= self._last_frame + FRAME)

    def _pending(self) -> bool:
        return self._ready and self._fresh and self._tape is not None

    def _patience(self) -> float | None:
        """Seconds until something is due; None if only a message can change that."""
        ends = [self._next_step] if self._moves() else []
        ends += [self._last_frame + FRAME] if self._pending() else []
        return max(0.0, min(ends) - time.monotonic()) if ends else None

    def _take(self) -> None:
        """One step of the run."""
        assert self._tape is not None
        begun, tape = time.monotonic(), self._tape
        if tape.ended:
            self._diverged()
            return
        tape.forward()
        self._todo = max(0, self._todo - 1)
        now = time.monotonic()
        self._seconds += now - begun
        pause = 1 / self._speed if self._speed else 0.0
        apart = max(now - begun, now - self._begun if self._playing else 0.0)
        self._rate = 0.9 * self._rate + 0.1 / apart if self._rate else 1 / apart
        self._begun, self._next_step, self._fresh = now, begun + pause, True
        if tape.ended:
            self._diverged()

    def _diverged(self) -> None:
        assert self._tape is not None
        self._playing, self._todo, self._fresh = False, 0, True
        found, first = self._tape.state.figures["diverged"], self._tape.ring.kept[0]
        back = max(first, self._tape.at - 10)
        mend = {"label": f"Go back to step {back}", "message": {"type": "seek", "step": back}}
        self._tell("error", found["text"], mend if back < self._tape.at else None)

    def _show(self) -> None:
        """A frame, if the page is ready for one and there is something new."""
        now = time.monotonic()
        if not self._pending() or now < self._last_frame + FRAME:
            return
        assert self._tape is not None
        dear = not self._moves() or now >= self._next_picture
        self._ready, self._fresh, self._last_frame = False, False, now
        self._send(self.frame(dear))
        if dear:
            took = time.monotonic() - now
            self._next_picture = now + max(PICTURE, took / SHARE)

    def frame(self, dear: bool = True) -> Message:
        """What the step that is shown looks like."""
        tape = self._tape
        assert tape is not None
        rows, tape.unsent = tape.unsent, []
        return keep.frame(tape, self._run, rows, dear) | {
            "playing": self._playing, "rate": self._rate if self._playing else None, "seconds": self._seconds,
            "ask": self._ask,
        }  # fmt: skip

    # -- messages ---------------------------------------------------------------------------------------------------
    def _follow(self, message: Message) -> None:
        self._ask = ask_of(message, self._ask)
        try:
            getattr(self, f"_on_{message['type']}")(message)
        except (Wrong, ValueError, ImportError) as error:
            self._tell("warning", str(error))
        finally:
            if message["type"] in ANEW and self._tape is not None:  # also where nothing changed, or it went wrong
                self._asked = self._tape.lab, dict(self._tape.state.setting)
                self._tell_setting(self._ask)
                self._fresh = True

    def _on_hello(self, message: Message) -> None:
        lab = lab_of(message.get("lab", "net"))
        try:
            asked = lab.setting(values_of(message.get("setting", {})))
        except ValueError as error:
            self._tell("warning", f"{error}. The page opens with its own setting instead.")
            asked = lab.setting({})
        setting, said = lab.fit(asked)
        self._send(hello(lab.name, setting))
        self._begin(lab, setting, said)

    def _on_set(self, message: Message) -> None:
        tape = self._running()
        old = tape.state.setting
        setting, said = tape.lab.fit(tape.lab.setting(values_of(message["values"]), old))
        if not tape.lab.live(old, setting):
            self._begin(tape.lab, setting, said, playing=self._playing)
        elif setting != old:
            tape.turn(setting)

    def _on_play(self, message: Message) -> None:
        self._running()
        self._playing, self._begun = True, time.monotonic()
        self._fresh = True

    def _on_pause(self, message: Message) -> None:
        self._running()
        self._playing, self._todo, self._fresh = False, 0, True

    def _on_step(self, message: Message) -> None:
        by, tape = whole("by", message["by"]), self._running()
        self._playing = False
        if by < 0:
            self._go(tape.at + by)
        else:
            self._todo = by

    def _on_seek(self, message: Message) -> None:
        self._playing, self._todo = False, 0
        self._go(whole("step", message["step"]))

    def _go(self, step: int) -> None:
        tape = self._running()
        tape.seek(step)
        self._fresh = True
        first, last = tape.ring.kept
        if not first <= step <= last:
            self._tell("info", f"Step {step} is not kept: the ring holds steps {first} to {last}.")

    def _on_reset(self, message: Message) -> None:
        self._begin(self._running().lab, self._running().state.setting, [])

    def _on_speed(self, message: Message) -> None:
        speed = words.number(message["steps_per_second"])
        if speed is not None and (isinstance(speed, bool) or not isinstance(speed, (int, float)) or not speed > 0):
            raise Wrong(f"steps_per_second must be a number above 0, or null for as fast as possible, got {speed!r}.")
        self._speed, self._next_step = speed, 0.0

    def _on_lab(self, message: Message) -> None:
        lab = lab_of(message["name"])
        self._begin(lab, *lab.fit(lab.setting({})))

    def _on_story(self, message: Message) -> None:
        story = STORIES.get(message["name"]) if isinstance(message["name"], str) else None
        if story is None:
            raise Wrong(f"There is no story {short(message['name'])}; there are {', '.join(STORIES)}.")
        lab = LABS[story.lab]
        self._begin(lab, *lab.fit(lab.setting(story.setting)))

    def _on_script(self, message: Message) -> None:
        tape = self._running()
        switched = getattr(tape.run, "switched", None)
        text = script.of(tape.lab.name, tape.begun, tape.at, switched, tape.turns)
        self._send({"type": "script", "text": text})

    def _on_save(self, message: Message) -> None:
        tape = self._running()
        what = message["what"]
        if what not in ("page", "csv", "json"):
            raise Wrong(f"what to save must be page, csv or json, got {short(what)}.")
        name = f"tinyres-{tape.lab.name}-step-{tape.at}"
        if what == "page":
            opening = hello(tape.lab.name, tape.begun)
            self._send({"type": "page", "name": f"{name}.html", "text": keep.page(tape, self._run, opening)})
        else:
            self._send({"type": "table", "name": f"{name}.{what}", "format": what, "text": keep.table(tape, what)})

    # -- pieces -----------------------------------------------------------------------------------------------------
    def _running(self) -> Tape:
        if self._tape is None:
            raise Wrong("Nothing runs yet: say hello first.")
        return self._tape

    def _begin(self, lab: Lab, setting: dict[str, Any], said: list[str], *, playing: bool = False) -> None:
        for text in said:
            self._tell("info", text)
        self._asked = lab, dict(setting)  # knobs turned meanwhile are answered for this run
        self._tape = Tape(lab, setting)
        self._run += 1
        self._playing, self._todo, self._fresh, self._ready = playing, 0, True, True
        self._rate = self._seconds = self._next_step = self._last_frame = 0.0
        self._send(keep.start(self._tape, self._run) | {"ask": self._ask})
        if self._tape.ended:
            self._diverged()

    def _tell_setting(self, ask: int | None) -> None:
        assert self._asked is not None
        lab, setting = self._asked
        self._send({"type": "setting", "lab": lab.name, "setting": setting, "ask": ask})

    def _tell(self, level: str, text: str, mend: Message | None = None) -> None:
        self._send({"type": "notice", "level": level, "text": text} | ({"mend": mend} if mend else {}))
