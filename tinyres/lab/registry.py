"""All experiments by name: every `EXPERIMENT` in the files of `laws`, `stream`, `players`, `trained`
and `claims`."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from tinyres.lab import claims, laws, players, stream, trained
from tinyres.lab.experiment import Experiment, InPieces, Options, Result, Table
from tinyres.lab.law import Law, Spread, shown
from tinyres.lab.setting import Setting, SettingError, chosen

ROOMS: dict[str, dict[str, Experiment]] = {}
for room in (laws, stream, players, trained, claims):
    modules = [import_module(f"{room.__name__}.{entry.name}") for entry in pkgutil.iter_modules(room.__path__)]
    found = [module.EXPERIMENT for module in modules if hasattr(module, "EXPERIMENT")]
    ROOMS[room.__name__.rpartition(".")[2]] = {experiment.name: experiment for experiment in found}
EXPERIMENTS: dict[str, Experiment] = {name: e for room in ROOMS.values() for name, e in room.items()}

STAR = "digits"  # the experiment to look at first
TOUR = ("E2", "E3", "E1", "check", "digits")  # what `tinyres flow` runs by default
GROUPS: dict[str, list[str]] = {
    "tour": list(TOUR),
    "starred": [name for name, experiment in EXPERIMENTS.items() if experiment.starred],
    **{room: list(found) for room, found in ROOMS.items()},
    "all": list(EXPERIMENTS),
}

__all__ = [
    "EXPERIMENTS", "GROUPS", "Experiment", "InPieces", "Law", "Options", "Result", "Setting", "SettingError", "Spread",
    "Table", "chosen", "shown",
]  # fmt: skip
