"""What an instrument found: plain arrays with names, a picture and a JSON form."""

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
    """Arrays by name: `found["forward_norm"]`, `list(found)`, `found.plot()`, `found.to_json("found.json")`.

    Attributes:
        name: the instrument, e.g. "path lengths".
        arrays: what was measured, as NumPy arrays.
        axes: for each array, what its axes count: {"forward_norm": ("step", "block")}.
        labels: names along an axis: {"block": ["blocks.0", ...], "step": [0, 10, ...]}.
        cost: what measuring it takes, in forward and backward passes or relative to a training step.
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
        """Draw it into a matplotlib figure (a new one by default) and return that: `found.plot().savefig("x.png")`."""
        if figure is None:
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure

            figure = Figure(figsize=(11, 5), dpi=130, layout="constrained")
            FigureCanvasAgg(figure)
        self.draw(figure, self)
        return figure

    def to_json(self, path: str | Path | None = None) -> dict[str, Any]:
        """The arrays as nested lists with their axes and labels; written to `path` if one is given.

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
