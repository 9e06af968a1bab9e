"""Knobs: what can be turned on the page, within which limits, and what a value that comes from outside must be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Setting = dict[str, Any]


@dataclass(frozen=True)
class Knob:
    """One row of the panel.

    Attributes:
        name: the key in a setting.
        label, help: its title, and one sentence.
        group: the heading under which it stands.
        default: its kind follows from it: flag, integer, number or (if there are choices) choice.
        low, high: what may be typed.
        shown: the ends of the slider, where they are nearer together than that.
        log: a slider of equal ratios.
        choices: (value, label) pairs.
        live: it takes effect in the next step; otherwise the run starts anew.
        when: shown, and of any effect, only if each of these knobs has one of these values.
    """

    name: str
    label: str
    help: str
    group: str
    default: Any
    low: float = -math.inf
    high: float = math.inf
    shown: tuple[float, float] | None = None
    log: bool = False
    choices: Sequence[tuple[str, str]] = ()
    live: bool = False
    when: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What values it takes: "choice", "flag", "integer" or "number"."""
        if self.choices:
            return "choice"
        return {bool: "flag", int: "integer"}.get(type(self.default), "number")

    def to_json(self) -> dict[str, Any]:
        """As the page reads it."""
        row: dict[str, Any] = {
            "name": self.name, "label": self.label, "help": self.help, "group": self.group, "kind": self.kind,
            "default": self.default, "live": self.live,
        }  # fmt: skip
        if self.kind in ("integer", "number"):
            low, high = self.shown or (self.low, self.high)
            row |= {"min": low, "max": high, "scale": "log" if self.log else "linear", "limit": [self.low, self.high]}
        if self.choices:
            row["choices"] = [{"value": value, "label": label} for value, label in self.choices]
        if self.when:
            row["when"] = {name: list(values) for name, values in self.when.items()}
        return row

    def checked(self, value: Any) -> Any:
        """The value in the knob's own type.

        Raises:
            ValueError: it is of another kind, not a number, or outside the limits; the message says what is allowed.
        """
        if self.kind == "choice":
            known = [name for name, _ in self.choices]
            if not isinstance(value, str) or value not in known:
                raise ValueError(f"{self.label} must be one of {', '.join(known)}, got {_short(value)}")
            return value
        if self.kind == "flag":
            if not isinstance(value, bool):
                raise ValueError(f"{self.label} must be true or false, got {_short(value)}")
            return value
        what = "a whole number" if self.kind == "integer" else "a number"
        said = f"{self.label} must be {what} from {self.low:g} to {self.high:g}, got {_short(value)}"
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not self.low <= value <= self.high:
            raise ValueError(said)  # NaN is within no limits
        if self.kind == "integer":
            if value != int(value):
                raise ValueError(said)
            return int(value)
        return float(value)


def defaults(knobs: Sequence[Knob]) -> Setting:
    """The setting that a lab opens with."""
    return {knob.name: knob.default for knob in knobs}


def checked(knobs: Sequence[Knob], values: Any) -> Setting:
    """These values in the knobs' own types.

    Raises:
        ValueError: `values` is no mapping, or names a knob that does not exist, or a value is not allowed.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"A setting names knobs and their values, got {_short(values)}")
    by_name = {knob.name: knob for knob in knobs}
    unknown = [name for name in values if name not in by_name]
    if unknown:
        raise ValueError(f"There is no knob called {_short(unknown[0])}; there are {', '.join(by_name)}")
    return {name: by_name[name].checked(value) for name, value in values.items()}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
