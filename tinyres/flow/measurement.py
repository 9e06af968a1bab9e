"""The result of an instrument: named NumPy arrays, a plot and a JSON form."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinyres.autograd.tensor import Array
from tinyres.files import plain as plain
from tinyres.files import write


@dataclass(frozen=True, eq=False, repr=False)
class Measurement(Mapping[str, Array]):
    """A mapping of names to arrays: `found["forward_norm"]`, `list(found)`, `found.plot()`, `found.to_json("x.json")`.

    Attributes:
        name: the instrument, e.g. "path lengths".
        arrays: what was measured, as NumPy arrays.
        axes: the names of each array's axes: {"forward_norm": ("step", "block")}.
        labels: labels along an axis: {"block": ["blocks.0", ...], "step": [0, 10, ...]}.
        cost: the cost of measuring, in forward and backward passes or relative to a training step.
    """

    name: str
    arrays: dict[str, Array]
    axes: dict[str, tuple[str, ...]]
    cost: str
    draw: Callable[[Any, Measurement], None]
    labels: dict[str, list[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, array in self.arrays.items():
            if len(self.axes.get(key, ())) != array.ndim:
                raise ValueError(f"{self.name}: {key} has shape {array.shape}, its axes are {self.axes.get(key)}")

    def __getitem__(self, key: str) -> Array:
        if key not in self.arrays:
            raise KeyError(f"{self.name}: nothing called {key!r} was measured; there are {', '.join(self.arrays)}")
        return self.arrays[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    def __repr__(self) -> str:
        arrays = ", ".join(f"{key} {array.shape}" for key, array in self.arrays.items())
        return f"Measurement({self.name!r}: {arrays}; cost: {self.cost})"

    def plot(self, figure: Any = None) -> Any:
        """Plot into a matplotlib figure (a new one by default) and return it: `found.plot().savefig("x.png")`."""
        if figure is None:
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure

            figure = Figure(figsize=(11, 5), dpi=130, layout="constrained")
            FigureCanvasAgg(figure)
        self.draw(figure, self)
        return figure

    def to_json(self, path: str | Path | None = None) -> dict[str, Any]:
        """Return the arrays as nested lists with their axes and labels; also write them to `path` if given.

        Raises:
            FileNotFoundError: the folder of `path` does not exist.
        """
        document = plain(
            {"name": self.name, "cost": self.cost, "labels": self.labels, "axes": self.axes, "arrays": self.arrays}
        )
        if path is not None:
            folder = Path(path).parent
            if not folder.is_dir():
                raise FileNotFoundError(
                    f"to_json: there is no folder {folder} to write {Path(path).name} into; make it"
                )
            write(path, json.dumps(document, allow_nan=False) + "\n")
        return document  # type: ignore[no-any-return]
