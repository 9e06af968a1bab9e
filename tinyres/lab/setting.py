"""Settings: the parameters of an experiment that `tinyres flow E3 --set m=0.9 a=0.436` can change."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any


class SettingError(ValueError):
    """An unknown setting, or a value out of range."""


@dataclass(frozen=True)
class Setting:
    """A parameter of a law, a number or a word.

    default: its value if only others are set; its type is the setting's type.
    meaning: a short description, for the list and for errors.
    low, high: the smallest and largest value at which the experiment can run, both included. The law's own range may be
        narrower: then the experiment says what holds outside.
    choices: the allowed words, if it is a word.
    """

    default: float | str
    meaning: str
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()

    def read(self, given: Any) -> Any:
        """Convert a text or number to the type of the default.

        Raises:
            ValueError: it is invalid or out of range; the message says what is needed.
        """
        if self.choices:
            if given not in self.choices:
                raise ValueError(f"one of {', '.join(self.choices)} is needed")
            return given
        whole = isinstance(self.default, int)
        try:
            value = float(given)
            fits = self.low <= value <= self.high and not (whole and value != int(value))
        except (TypeError, ValueError, OverflowError):
            fits = False
        if not fits:
            raise ValueError(f"a {'whole ' if whole else ''}number{self._range()} is needed")
        return int(value) if whole else value

    def _range(self) -> str:
        low, high = math.isfinite(self.low), math.isfinite(self.high)
        if low and high:
            return f" from {self.low:g} to {self.high:g}"
        return f" of at least {self.low:g}" if low else f" of at most {self.high:g}" if high else ""


def chosen(experiment: str, settings: Mapping[str, Setting], given: Mapping[str, Any]) -> dict[str, Any]:
    """All settings: the given values, and defaults for the others; {} if none is given.

    Raises:
        SettingError: the experiment has no such setting, or the value is out of range.
    """
    if not given:
        return {}
    if not settings:
        raise SettingError(f"{experiment} has no settings: it only runs its default cases")
    values = {name: setting.default for name, setting in settings.items()}
    for name, value in given.items():
        if name not in settings:
            close = get_close_matches(name, settings, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            there = ", ".join(f"{known} ({setting.meaning})" for known, setting in settings.items())
            raise SettingError(f"{experiment} has no setting {name!r}; it has {there}{hint}")
        try:
            values[name] = settings[name].read(value)
        except ValueError as error:
            raise SettingError(f"{experiment}: {name}={value} ({settings[name].meaning}): {error}") from error
    return values
