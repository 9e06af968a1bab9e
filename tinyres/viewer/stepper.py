"""Stepping through a trace by keys, in a terminal. What a key does and what is shown are apart from the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from tinyres.viewer.rules import broadcasting, rule_text
from tinyres.viewer.story import printable
from tinyres.viewer.tracing import Trace

KEYS = "Enter/n next   p back   m/M next/previous module   f/b forward/backward pass   / search   q quit"
_NEIGHBOURS = 4  # events shown before and after
_ARROWS = {"\x1b[C": "n", "\x1b[B": "n", "\x1b[D": "p", "\x1b[A": "p", "\r": "n", "\n": "n", " ": "n", "\x03": "q"}


class Stepper:
    """Where somebody is in a trace.

    Attributes:
        trace: what is stepped through.
        at: the current event.
        note: one line for the last key, such as a search that found nothing.
    """

    def __init__(self, trace: Trace) -> None:
        self.trace, self.at, self.note = trace, 0, ""

    def press(self, key: str, ask: Callable[[], str] = lambda: "") -> bool:
        """Do what a key says; False for the one that ends it. `ask` gives the words of a search."""
        key, last = _ARROWS.get(key, key), len(self.trace) - 1
        self.note = ""
        if key == "q":
            return False
        if key in "np":
            self.at = min(max(self.at + (1 if key == "n" else -1), 0), last)
        elif key in "mM":
            here, way = self.trace[self.at].path, 1 if key == "m" else -1
            self._go([i for i in self._from(way) if self.trace[i].path != here], "no further module")
        elif key == "f":
            kinds = [moment.kind for moment in self.trace]
            self._go([i for i in self._around() if kinds[i] == "forward" and (not i or kinds[i - 1] != "forward")], "")
        elif key == "b":
            self._go([i for i in self._around() if self.trace[i].kind == "seed"], "no backward pass")
        elif key == "/":
            words = ask().strip().lower()
            found = [i for i in self._around() if words in f"{self.trace[i]} {self.trace[i].source}".lower()]
            self._go(found if words else [], f"nothing found for {words!r}" if words else "")
        else:
            self.note = f"no key {key!r}"
        return True

    def view(self) -> Any:
        """What is shown of the current event, for a rich console."""
        from rich.console import Group
        from rich.panel import Panel
        from rich.text import Text

        moment = self.trace[self.at]
        first, last = max(self.at - _NEIGHBOURS, 0), min(self.at + _NEIGHBOURS, len(self.trace) - 1)
        lines = [
            Text(("▶ " if i == self.at else "  ") + str(self.trace[i]), style="bold" if i == self.at else "dim")
            for i in range(first, last + 1)
        ]
        details = [
            Text(line) for line in [f"line   {moment.source}" if moment.source else "", *self._details()] if line
        ]
        title = Text(
            f"event {self.at + 1} of {len(self.trace)}: {moment.kind}" + (f", {moment.lane}" if moment.lane else "")
        )
        return Group(*lines, Panel(Group(*details), title=title), Text(self.note or KEYS, style="italic"))

    def _details(self) -> list[str]:
        """The rule's text and the arrays of the event."""
        moment, event = self.trace[self.at], self.trace.events[self.at]
        op = self.trace.ops[moment.op]
        if event[0] == "f":
            return [f"rule   y = {rule_text(op.kind).get('forward', '')}", *self._array("y", op.value)]
        if event[0] == "s":
            return self._array("g", event[3])
        consumer = self.trace.ops[event[2]]
        args = rule_text(consumer.kind).get("args", {})
        arg = consumer.args[event[3]]
        text = args.get(arg) or args.get("*") or next(iter(args.values()), "")
        summed = broadcasting(consumer, event[3], self.trace.ops[event[4]].shape)
        told = [f"rule   d{arg} = {text}{summed}", *self._array("sent", event[5])]
        if event[0] == "a":
            told = [*self._array("before", event[6]), *self._array("+=", event[5]), *self._array("now", event[7])]
        return told

    def _array(self, name: str, place: int | None) -> list[str]:
        told = "nothing yet" if place is None else self.trace.summaries[place].told()
        return [f"{name:<6} {printable(told)}"]

    def _from(self, way: int) -> list[int]:
        return list(range(self.at + 1, len(self.trace)) if way > 0 else range(self.at - 1, -1, -1))

    def _around(self) -> list[int]:
        """All events after this one, then those from the beginning."""
        return [*range(self.at + 1, len(self.trace)), *range(self.at + 1)]

    def _go(self, found: list[int], otherwise: str) -> None:
        if found:
            self.at = found[0]
        else:
            self.note = otherwise


def step_through(trace: Trace, console: Any) -> None:
    """Show event after event until q is pressed."""
    stepper = Stepper(trace)
    going = True
    while going:
        console.clear()
        console.print(stepper.view(), highlight=False)
        going = stepper.press(_read_key(), lambda: input("search: "))


def _read_key() -> str:
    """One key, without waiting for Enter; the whole sequence of an arrow key."""
    if sys.platform == "win32":
        import msvcrt

        key = msvcrt.getwch()
        return {"M": "n", "P": "n", "K": "p", "H": "p"}.get(msvcrt.getwch(), "") if key in "\x00\xe0" else key
    import os
    import select
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal, termios.TCSANOW)  # keys that were pressed meanwhile stay
        key = os.read(terminal, 1)
        if key == b"\x1b" and select.select([terminal], [], [], 0.05)[0]:
            key += os.read(terminal, 2)
        return key.decode(errors="replace") or "q"  # nothing: the terminal has gone
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)
