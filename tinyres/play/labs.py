"""The two labs: their knobs, how a setting is made to fit, and what runs in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tinyres.play import game_knobs, net_knobs
from tinyres.play.game_run import GameRun
from tinyres.play.knobs import Knob, Setting, checked, defaults
from tinyres.play.net_run import NetRun


@dataclass(frozen=True)
class Lab:
    """A lab by its name."""

    name: str
    title: str
    knobs: Sequence[Knob]
    fit: Callable[[Setting], tuple[Setting, list[str]]]
    run: Callable[[Setting], Any]

    def setting(self, values: Any, over: Setting | None = None) -> Setting:
        """These values over those of a setting, or over the defaults.

        Raises:
            ValueError: a knob does not exist, or a value is not allowed.
        """
        return (defaults(self.knobs) if over is None else over) | checked(self.knobs, values)

    def live(self, old: Setting, new: Setting) -> bool:
        """Whether all that differs can be turned while the run goes on."""
        return all(knob.live for knob in self.knobs if new[knob.name] != old[knob.name])

    def to_json(self) -> dict[str, Any]:
        """As the page reads it."""
        return {"name": self.name, "title": self.title, "knobs": [knob.to_json() for knob in self.knobs]}


LABS = {
    "net": Lab("net", "One net", net_knobs.KNOBS, net_knobs.fitted, NetRun),
    "game": Lab("game", "Two players", game_knobs.KNOBS, game_knobs.fitted, GameRun),
}
