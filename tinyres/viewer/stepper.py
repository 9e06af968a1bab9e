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

KEYS = (  # what the page has, too, has its letter there
    "Enter/n next   p back   Home/End first/last   m/M next/previous module   "
    "f/b forward/backward pass of the same operation   l backward pass of the next loss   w where to look first   "
    "r/R next/previous place where routes rejoin   "
    "/ search   ? these keys   q quit"
)
LEAST = 40  # columns that a view needs
_NEIGHBOURS = 4  # events shown before and after
_SAME = {"\r": "n", "\n": "n", " ": "n", "\x03": "q", "h": "?", "\x1b[1;2C": "m", "\x1b[1;2D": "M"}
_SAME |= {f"\x1b{mode}{arrow}": "n" if arrow in "BC" else "p" for mode in "[O" for arrow in "ABCD"}
_SAME |= {f"\x1b{code}": "home" for code in ("[H", "OH", "[1~", "[7~")}
_SAME |= {f"\x1b{code}": "end" for code in ("[F", "OF", "[4~", "[8~")}
_SEQUENCE = re.compile(rb"\x1b(\[[0-?]*[ -/]*[@-~]|O[ -~]|[^\[O])")  # a whole one, as a terminal sends it
_LETTER = re.compile(rb"[\x00-\x7f]|[\xc0-\xdf].|[\xe0-\xef]..|[\xf0-\xff]...", re.DOTALL)  # UTF-8


class Stepper:
    """The current position in a trace, moved by keys.

    Attributes:
        trace: the trace.
        at: the index of the current event.
        note: at first, where to look; then a message about the last key, such as a search without a match.
    """

    def __init__(self, trace: Trace) -> None:
        first = trace.first
        hint = "" if first is None else f"w goes to event {first['event'] + 1}: {first['text']}"
        self.trace, self.at, self.note = trace, 0, printable(hint)

    def press(self, key: str, ask: Callable[[], str] = lambda: "") -> bool:
        """Handle a key; False if it quits. `ask` returns the words to search for."""
        key, last = _SAME.get(key, key), len(self.trace) - 1
        self.note = ""
        if key == "q":
            return False
        if key in ("n", "p"):
            self.at = min(max(self.at + (1 if key == "n" else -1), 0), last)
        elif key in ("home", "end"):
            self.at = 0 if key == "home" else last
        elif key in ("m", "M"):
            here, way = self.trace[self.at].path, 1 if key == "m" else -1
            self._go([i for i in self._from(way) if self.trace[i].path != here], "no further module")
        elif key in ("f", "b"):
            self._go(self._in_pass(key == "f"), "no such pass")
        elif key == "l":
            lane = (self._lanes()[self.at] + 1) % len(self.trace.lanes)
            self._go(self._begins(lane, forward=False), "no backward pass")
        elif key == "w":
            self._go([] if self.trace.first is None else [self.trace.first["event"]], "no backward pass")
        elif key in ("r", "R"):
            self._go([i for i in self._from(1 if key == "r" else -1) if i in self.trace.rejoined], "no further rejoin")
        elif key == "/":
            words = ask().strip().lower()
            told = [i for i in self._around() if words in self._told(i)]
            found = [i for i in self._around() if all(word in self._called(i) for word in words.split())] + told
            self._go(found if words else [], f"nothing found for {words!r}" if words else "")
        elif key != "?":  # the keys are always in view
            self.note = f"no key {key!r}" if len(key) == 1 and key.isprintable() else "this key does nothing here"
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
            return [*_written("y", rule), *self._operands(op, op.args), *self._array("y", op.value)]
        if record[0] == "s":
            return self._array("g", record[3])
        consumer = self.trace.ops[record[2]]
        args = rule_text(consumer.kind).get("args", {})
        arg = consumer.args[record[3]]
        listed = args.get(arg.rstrip("0123456789"))  # xs0, xs1, ... have the rule of xs
        text = args.get(arg) or args.get("*") or listed or f"the rule of {consumer.kind} for {arg}, given g"
        summed = broadcasting(consumer, record[3], self.trace.ops[record[4]].shape)
        read = set(re.findall(r"\w+", text)) | {"g"}
        lines = [
            *_written(f"d{arg}", text + summed), *self._array("g", self._arrived(record[1], record[2])),
            *self._operands(consumer, read), *(self._array("y", consumer.value) if "y" in read else []),
            *self._array("sent", record[5]),
        ]  # fmt: skip
        quiet = [s["text"] for s in self.trace.silent if (s["lane"], s["op"]) == (record[1], record[2])]
        if record[0] == "a":
            lines = [*self._array("before", record[6]), *self._array("+=", record[5]), *self._array("now", record[7])]
            lines += [printable(f"{text[0].upper()}{text[1:]}.") for text in self.trace.rejoined.get(self.at, [])]
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

    def _called(self, i: int) -> str:
        """What an event is of, as opposed to what it mentions."""
        number = self.trace[i].op
        op = self.trace.ops[number]
        return " ".join([op.kind, op.name, op.path, *(op.roles or ()), f"#{number}"]).lower()

    def _told(self, i: int) -> str:
        """All that is said of an event, and the classes of the modules that begin there."""
        event, before = self.trace[i], self.trace[i - 1].path if i else ""
        begin = [path for path in self.trace.classes if _within(event.path, path) and not _within(before, path)]
        return " ".join([str(event), event.source, *(self.trace.classes[path] for path in begin)]).lower()

    def _lanes(self) -> list[int]:
        """Whose pass each event belongs to: a forward event to the backward pass that it leads to."""
        lane, lanes = len(self.trace.lanes) - 1, []
        for record in reversed(self.trace.events):
            lane = lane if record[0] == "f" else record[1]
            lanes.append(lane)
        return lanes[::-1]

    def _begins(self, lane: int, forward: bool) -> list[int]:
        """The events of a lane's forward or backward pass."""
        ways = [(record[0] == "f") == forward for record in self.trace.events]
        return [i for i, at in enumerate(self._lanes()) if at == lane and ways[i]]

    def _in_pass(self, forward: bool) -> list[int]:
        """Events of the same operation in the other pass; in the pass itself, and without any, from its beginning."""
        here, lane = self.trace.events[self.at], self._lanes()[self.at]
        at = {"f": 1, "s": 2, "a": 4, "r": 4}  # the operation that is computed, or that receives a gradient
        same = [
            i
            for i, record in enumerate(self.trace.events)
            if record[0] in ("f" if forward else "sa")
            and (forward or record[1] == lane)
            and record[at[record[0]]] == here[at[here[0]]]
        ]
        there = (here[0] == "f") == forward
        return [*([] if there else same), *self._begins(lane, forward)]

    def _go(self, found: list[int], otherwise: str) -> None:
        if found:
            self.at = found[0]
        else:
            self.note = otherwise


def _within(path: str, module: str) -> bool:
    return f"{path}.".startswith(f"{module}.")


def _written(name: str, rule: str) -> list[str]:
    """A rule as an equation, or, where it takes several lines, the source that computes it."""
    if "\n" not in rule:
        return [f"rule   {name} = {rule}"]
    return [f"rule   {name} is what this source returns:", *(f"       {line}" for line in rule.splitlines())]


def step_through(trace: Trace, console: Any) -> None:
    """Show event after event until q is pressed."""
    stepper = Stepper(trace)
    going = True
    while going:
        console.clear()
        console.print(stepper.view(), highlight=False)
        going = stepper.press(_read_key(), lambda: input("search: "))


def _read_key() -> str:
    """One key, without waiting for Enter: the whole sequence of a special key, all bytes of a letter."""
    if sys.platform == "win32":
        import msvcrt

        key = msvcrt.getwch()
        codes = {"M": "n", "P": "n", "K": "p", "H": "p", "G": "home", "O": "end"}
        return codes.get(msvcrt.getwch(), "") if key in "\x00\xe0" else key
    import os
    import select
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal, termios.TCSANOW)  # TCSANOW keeps keys already typed
        key = os.read(terminal, 1)
        whole = _SEQUENCE if key == b"\x1b" else _LETTER
        while key and not whole.fullmatch(key) and select.select([terminal], [], [], 0.05)[0]:
            key += os.read(terminal, 1)
        return key.decode(errors="replace") or "q"  # an empty read: the terminal is gone
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)
