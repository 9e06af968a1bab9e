"""What an experiment may be asked about beside its own cases: `tinyres flow E3 --set m=0.9 a=0.436`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any


class SettingError(ValueError):
    """A setting that the experiment does not have, or a value that it cannot be run at."""


@dataclass(frozen=True)
class Setting:
    """One number or word that a law depends on.

    default: what it is where others are set and it is not; its type is the setting's type.
    meaning: in a few words, for the list and for errors.
    low, high: the least and the greatest value at which the experiment can be run, both included. The law's own range
        may be narrower: then the experiment says what holds outside.
    choices: the words to choose from, where it is a word.
    """

    default: float | str
    meaning: str
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()

    def read(self, given: Any) -> Any:
        """The value of a text or a number, in the type of the default.

        Raises:
            ValueError: it is not one, or out of range; the message says what is needed.
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
    """All settings, those that are given and the defaults of the others; {} where none is given.

    Raises:
        SettingError: the experiment has no such setting, or cannot be run at such a value.
    """
    if not given:
        return {}
    if not settings:
        raise SettingError(f"{experiment} has no settings: it is run at its own cases only")
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
