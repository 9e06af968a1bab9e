"""The result of an instrument: named NumPy arrays, a plot, and the forms in which they leave Python."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinyres.autograd.tensor import Array
from tinyres.figures import blank, whole_ticks
from tinyres.files import plain as plain
from tinyres.files import write
from tinyres.flow import tables

SHOWN = 24  # numbers of an array in a printed line


@dataclass(frozen=True, eq=False, repr=False)
class Measurement(Mapping[str, Array]):
    """A mapping of names to arrays: `found["forward_norm"]`, `list(found)`, `found.plot()`, `found.to_csv("x.csv")`.

    Names are texts. Where there is one number per block, as in `recording.skip_share()`, integers are places
    (`flow.Curve`), unless another block is called so.

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
            raise KeyError(
                f"{self.name}: nothing called {key!r} was measured; there are {', '.join(map(repr, self.arrays))}"
            )
        return self.arrays[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    def __repr__(self) -> str:
        arrays = ", ".join(f"{key} {array.shape}" for key, array in self.arrays.items())
        return f"Measurement({self.name!r}: {arrays}; cost: {self.cost})"

    def __str__(self) -> str:
        """As `repr`, and below it the numbers of every array that has one axis at most: print(found) shows them."""
        lines = [repr(self)]
        for key, array in self.arrays.items():
            if array.ndim == 0:
                lines.append(f"  {key}: {float(array):.4g}")
            elif array.ndim == 1 and array.size and array.dtype.kind in "fiu":
                names = self.labels.get(self.axes[key][0]) or range(len(array))
                shown = [f"{name} {float(value):.4g}" for name, value in zip(names, array, strict=False)]
                lines.append(f"  {key}: {', '.join(shown[:SHOWN])}{', …' if len(shown) > SHOWN else ''}")
        return "\n".join(lines)

    def plot(self, figure: Any = None) -> Any:
        """Plot into a matplotlib figure (a new one by default) and return it: `found.plot().savefig("x.png")`."""
        figure = blank() if figure is None else figure
        self.draw(figure, self)
        whole_ticks(figure)
        return figure

    def to_json(self, path: str | Path | None = None) -> dict[str, Any]:
        """Return the arrays as nested lists with their axes and labels; also write them to `path` if given.

        Raises:
            FileNotFoundError: the folder of `path` does not exist.
        """
        document = plain(
            {"name": self.name, "cost": self.cost, "labels": self.labels, "axes": self.axes, "arrays": self.arrays}
        )
        _write(path, json.dumps(document, allow_nan=False) + "\n", "to_json")
        return document  # type: ignore[no-any-return]

    def to_csv(self, path: str | Path | None = None, *names: str) -> str:
        """Return the table of `to_frame` as CSV text, with all digits; also write it to `path` if given.

        Raises:
            KeyError: nothing of a given name was measured.
            FileNotFoundError: the folder of `path` does not exist.
        """
        text = tables.csv_text(*self._table(names))
        _write(path, text, "to_csv")
        return text

    def to_frame(self, *names: str) -> Any:
        """The arrays of these names, or all, as a pandas DataFrame.

        If they share their axes, as "forward_norm" and "backward_norm" do: a row for each point of the axes, which are
        the first columns, and a column for each quantity. Otherwise, as in `record.history().to_frame()`: a row for
        each number, with the columns `quantity`, all the axes, and `value`; an axis that the quantity does not have is
        missing. `frame[frame.quantity == "skip_share"].dropna(axis=1)` takes one out.

        Raises:
            KeyError: nothing of a given name was measured.
            ImportError: pandas is not installed.
        """
        return tables.frame(*self._table(names))

    def _table(self, names: tuple[str, ...]) -> tuple[list[str], list[list[Any]]]:
        for name in names:
            Measurement.__getitem__(self, name)  # raises where there is none
        chosen = {name: self.arrays[name] for name in names or self.arrays}
        return tables.table(chosen, self.axes, self.labels)


def _write(path: str | Path | None, text: str, caller: str) -> None:
    if path is None:
        return
    folder = Path(path).parent
    if not folder.is_dir():
        raise FileNotFoundError(f"{caller}: there is no folder {folder} to write {Path(path).name} into; make it")
    write(path, text)
