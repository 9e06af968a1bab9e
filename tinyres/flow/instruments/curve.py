"""One number per block: an array with names, that can be plotted beside others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from tinyres.autograd.tensor import Array
from tinyres.figures import blank, palette, whole_ticks
from tinyres.flow.instruments import pictures
from tinyres.flow.measurement import Measurement


class Curve(NDArrayOperatorsMixin, Measurement):
    """One number per block, by name and by place: `norms["blocks.0"]`, `norms[0]`, `norms[-3:]`, `norms.items()`.

    A text is a name, an integer a place. Where the blocks are called "2", "3", ..., as in nn.Sequential, the integer 2
    could mean either, and is refused: `share["2"]` is the block of that name, `share.numpy()[2]` the third.

    It is a mapping of names to numbers, and computes like a NumPy array, whose methods it has: `norms.max()`. Products
    and quotients, as `norms / norms[-1]`, keep the names; `np.log(norms)` is an array. `norms.plot()` draws it,
    `flow.plot({"plain": a, "residual": b})` draws several.

    Attributes:
        quantity: the name of the numbers, "gradient_norm".
        axis: what they belong to, "block".
    """

    @classmethod
    def of(cls, name: str, quantity: str, values: Any, axis: str, labels: Sequence[str], cost: str) -> Curve:
        """Name the numbers of an axis."""
        return cls(name, {quantity: np.asarray(values)}, {quantity: (axis,)}, cost, _draw_one, {axis: list(labels)})

    @property
    def quantity(self) -> str:
        return next(iter(self.arrays))

    @property
    def axis(self) -> str:
        return self.axes[self.quantity][0]

    def numpy(self) -> Array:
        """The numbers as a plain array."""
        return self.arrays[self.quantity]

    def __getitem__(self, key: Any) -> Any:
        names = self.labels[self.axis]
        if not isinstance(key, str):
            if isinstance(key, (int, np.integer)) and str(key) in names and names[key : key + 1] != [str(key)]:
                raise KeyError(
                    f"{self.name}: {key} is a place, and also the name of another {self.axis}: write ['{key}'] for the "
                    f"name, .numpy()[{key}] for the place; the names are {', '.join(map(repr, names))}"
                )
            return self.numpy()[key]
        if key not in names:
            raise KeyError(
                f"{self.name}: there is no {self.axis} called {key!r}; there are {', '.join(map(repr, names))}"
            )
        return float(self.numpy()[names.index(key)])

    def __iter__(self) -> Iterator[str]:
        return iter(self.labels[self.axis])

    def __len__(self) -> int:
        return len(self.numpy())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        plain = [entry.numpy() if isinstance(entry, Curve) else entry for entry in inputs]
        lengths = [len(entry) for entry in inputs if isinstance(entry, Curve)]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"{self.name}: one curve has {lengths[0]} entries, the other {lengths[1]}, so they share no "
                "blocks; take the same part of both, a[-3:] / b[-3:], or draw them, flow.plot({'one': a, 'other': b})"
            )
        made = getattr(ufunc, method)(*plain, **kwargs)
        labels = [entry.labels for entry in inputs if isinstance(entry, Curve)]
        alike = all(one == labels[0] for one in labels)
        if ufunc not in (np.multiply, np.divide) or method != "__call__":
            return made
        if not alike or not isinstance(made, np.ndarray) or made.shape != self.numpy().shape or "out" in kwargs:
            return made
        name, quantity = self.name, self.quantity
        if ufunc is np.divide and not quantity.endswith("_ratio"):
            name, quantity = f"{name}, divided", f"{quantity}_ratio"
        return Curve.of(name, quantity, made, self.axis, self.labels[self.axis], self.cost)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "arrays":  # which a copy asks for before it has any
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.numpy(), name)

    def __str__(self) -> str:
        return repr(self)

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{repr(name) if name.isdigit() else name or 'model'}: {value:.4g}" for name, value in self.items()
        )
        return f"{self.name} by {self.axis}: {{{shown}}}"

    def plot(self, figure: Any = None, *, ax: Any = None, label: str = "") -> Any:
        """Plot into a matplotlib figure (a new one by default), or into axes of your own; return the figure."""
        if ax is None:
            return super().plot(figure)
        _draw(ax, {label: self})
        return ax.figure


def plot(curves: Mapping[str, Curve], figure: Any = None) -> Any:
    """Several recordings in one plot, with a legend: `flow.plot({"plain": a.gradient_norms(), "residual": ...})`.

    Their names choose the colours: plain, residual, skip, branch, D and G have theirs in all figures.

    Raises:
        TypeError: something else than the numbers of one axis.
        ValueError: there is none, or they measure different things.
    """
    for name, curve in curves.items():
        if not isinstance(curve, Curve):
            raise TypeError(
                f"plot: {name!r} must have one number per block, as gradient_norms() and skip_share() have; got "
                f"{type(curve).__name__}"
            )
    kinds = list(dict.fromkeys(curve.name for curve in curves.values()))
    if len(kinds) != 1:
        raise ValueError(f"plot: needs curves of one kind, got {' and '.join(kinds) or 'none'}")
    figure = blank() if figure is None else figure
    _draw(figure.subplots(), curves)
    whole_ticks(figure)
    return figure


def _draw_one(figure: Any, found: Measurement) -> None:
    assert isinstance(found, Curve)
    _draw(figure.subplots(), {"": found})


def _draw(axes: Any, curves: Mapping[str, Curve]) -> None:
    first = next(iter(curves.values()))
    before = len(axes.lines)
    for k, (label, curve) in enumerate(curves.items()):
        values = curve.numpy()
        colour = palette.colour_of(label, before + k)
        positive = values if curve.quantity.endswith("share") else np.where(values > 0, values, np.nan)
        pictures.series(axes, positive, "o-", color=colour, label=label or None)
    axes.set(title=first.name, xlabel=f"{first.axis} (1 = input side)", ylabel=first.quantity.replace("_", " "))
    if first.quantity.endswith("share"):
        axes.set_ylim(0, 1.02)
    else:
        axes.set_yscale("log")
    longest = max(curves.values(), key=len)
    names = longest.labels[longest.axis]
    if names and all(curve.labels == longest.labels for curve in curves.values()):
        pictures.name_blocks(axes, names, longest.axis)
    elif names:
        pictures.count(axes.xaxis, len(names))
    if any(curves):
        axes.legend()


__all__ = ["Curve", "plot"]
