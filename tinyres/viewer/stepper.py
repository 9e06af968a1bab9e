"""Step through a trace with keys in a terminal. `Stepper` holds the logic and needs no terminal."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection
from typing import Any

from tinyres.viewer.events import printable
from tinyres.viewer.records import Op
from tinyres.viewer.rules import broadcasting, rule_text
from tinyres.viewer.tracing import Trace

KEYS = "Enter/n next   p back   m/M next/previous module   f/b forward/backward pass   l look first   / search   q quit"
_NEIGHBOURS = 4  # events shown before and after
_ARROWS = {"\x1b[C": "n", "\x1b[B": "n", "\x1b[D": "p", "\x1b[A": "p", "\r": "n", "\n": "n", " ": "n", "\x03": "q"}


class Stepper:
    """The current position in a trace, moved by keys.

    Attributes:
        trace: the trace.
        at: the index of the current event.
        note: at first, where to look; then a message about the last key, such as a search without a match.
    """

    def __init__(self, trace: Trace) -> None:
        first = trace.first
        hint = "" if first is None else f"l goes to event {first['event'] + 1}: {first['text']}"
        self.trace, self.at, self.note = trace, 0, printable(hint)

    def press(self, key: str, ask: Callable[[], str] = lambda: "") -> bool:
        """Handle a key; False if it quits. `ask` returns the words to search for."""
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
            kinds = [event.kind for event in self.trace]
            self._go([i for i in self._around() if kinds[i] == "forward" and (not i or kinds[i - 1] != "forward")], "")
        elif key == "b":
            self._go([i for i in self._around() if self.trace[i].kind == "seed"], "no backward pass")
        elif key == "l" and self.trace.first is not None:
            self.at = self.trace.first["event"]
        elif key == "/":
            words = ask().strip().lower()
            found = [i for i in self._around() if words in f"{self.trace[i]} {self.trace[i].source}".lower()]
            self._go(found if words else [], f"nothing found for {words!r}" if words else "")
        else:
            self.note = f"no key {key!r}"
        return True

    def view(self) -> Any:
        """The current event as a rich renderable."""
        from rich.console import Group
        from rich.panel import Panel
        from rich.text import Text

        event = self.trace[self.at]
        first, last = max(self.at - _NEIGHBOURS, 0), min(self.at + _NEIGHBOURS, len(self.trace) - 1)
        lines = [
            Text(
                ("▶ " if i == self.at else "  ") + str(self.trace[i]),
                style="bold" if i == self.at else "dim",
                no_wrap=True,
                overflow="ellipsis",
            )
            for i in range(first, last + 1)
        ]
        details = [Text(line) for line in [f"line   {event.source}" if event.source else "", *self._details()] if line]
        title = Text(
            f"event {self.at + 1} of {len(self.trace)}: {event.kind}" + (f", {event.lane}" if event.lane else "")
        )
        below = [Text(line, style="italic") for line in (self.note, KEYS) if line]
        return Group(*lines, Panel(Group(*details), title=title), *below)

    def _details(self) -> list[str]:
        """The rule's text and the arrays of the event."""
        event, record = self.trace[self.at], self.trace.events[self.at]
        op = self.trace.ops[event.op]
        if record[0] == "f":
            given = f"{op.kind}({', '.join(op.args)})"
            rule = rule_text(op.kind).get("forward", given)
            return [f"rule   y = {rule}", *self._operands(op, op.args), *self._array("y", op.value)]
        if record[0] == "s":
            return self._array("g", record[3])
        consumer = self.trace.ops[record[2]]
        args = rule_text(consumer.kind).get("args", {})
        arg = consumer.args[record[3]]
        text = args.get(arg) or args.get("*") or f"the rule of {consumer.kind} for {arg}, given g"
        summed = broadcasting(consumer, record[3], self.trace.ops[record[4]].shape)
        read = set(re.findall(r"\w+", text)) | {"g"}
        lines = [
            f"rule   d{arg} = {text}{summed}", *self._array("g", self._arrived(record[1], record[2])),
            *self._operands(consumer, read), *(self._array("y", consumer.value) if "y" in read else []),
            *self._array("sent", record[5]),
        ]  # fmt: skip
        quiet = [s["text"] for s in self.trace.silent if (s["lane"], s["op"]) == (record[1], record[2])]
        if record[0] == "a":
            lines = [*self._array("before", record[6]), *self._array("+=", record[5]), *self._array("now", record[7])]
        return [*lines, *map(printable, quiet)]

    def _operands(self, op: Op, read: Collection[str]) -> list[str]:
        """The operation's inputs, those that its text names; what no tape has kept is left out."""
        inputs = [(arg, self.trace.ops[int(i)].value) for arg, i in zip(op.args, op.inputs, strict=False)
                  if i is not None and arg in read]  # fmt: skip
        return [line for arg, value in inputs if value is not None for line in self._array(arg, value)]

    def _arrived(self, lane: int, op: int) -> int | None:
        """The cotangent of an operation's output: all of it has arrived before a rule runs."""
        for record in reversed(self.trace.events):
            if record[0] == "a" and (record[1], record[4]) == (lane, op):
                return int(record[7])
            if record[0] == "s" and (record[1], record[2]) == (lane, op):
                return int(record[3])
        return None

    def _array(self, name: str, place: int | None) -> list[str]:
        text = "nothing yet" if place is None else self.trace.summaries[place].as_text()
        return [f"{name:<6} {printable(text)}"]

    def _from(self, way: int) -> list[int]:
        return list(range(self.at + 1, len(self.trace)) if way > 0 else range(self.at - 1, -1, -1))

    def _around(self) -> list[int]:
        """All events after this one, then those from the start."""
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
        tty.setcbreak(terminal, termios.TCSANOW)  # TCSANOW keeps keys already typed
        key = os.read(terminal, 1)
        if key == b"\x1b" and select.select([terminal], [], [], 0.05)[0]:
            key += os.read(terminal, 2)
        return key.decode(errors="replace") or "q"  # an empty read: the terminal is gone
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)
