"""The measurements of gradcheck: a function of tensors as one from R^n to R^m, and its finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyres.autograd.reverse import grad
from tinyres.autograd.tensor import Tensor, wrap

Vector: TypeAlias = npt.NDArray[Any]

ROUNDOFF = float(np.finfo(np.float64).eps)
SEARCHED = 256  # after a failure, so many elements are tried to name the worst


class VectorFunction:
    """`function(*tensors)` as a function of one vector; `pull` is its vector-Jacobian product."""

    def __init__(self, function: Callable[..., Any], shapes: Sequence[tuple[int, ...]], names: Sequence[str]) -> None:
        self.function = function
        self.shapes = list(shapes)
        self.names = list(names)
        self.output_shapes: list[tuple[int, ...]] = []  # known from the first call on
        self.several = False  # does it return a tuple?

    def flatten(self, arrays: Sequence[Any]) -> Vector:
        return np.concatenate([np.ravel(a) for a in arrays]) if arrays else np.zeros(0)

    def split(self, x: Vector) -> list[Vector]:
        return _split(x, self.shapes)

    def leaves(self, x: Vector) -> list[Tensor]:
        return [wrap(piece).requires_grad_() for piece in self.split(x)]

    def outputs(self, inputs: Sequence[Any]) -> list[Any]:
        y = self.function(*inputs)
        self.several = isinstance(y, (tuple, list))
        ys = list(y) if self.several else [y]
        for i, part in enumerate(ys):
            if not hasattr(part, "shape"):
                raise TypeError(f"gradcheck: output[{i}] is a {type(part).__name__}, not a tensor: the graph is cut")
        self.output_shapes = [tuple(part.shape) for part in ys]
        return ys

    def __call__(self, x: Vector) -> Vector:
        ys = self.outputs(self.leaves(x))
        for i, y in enumerate(ys):
            if not isinstance(y, Tensor):
                raise TypeError(f"gradcheck: output[{i}] is a {type(y).__name__}, not a tensor: the graph is cut")
            if y.dtype != np.float64:
                raise TypeError(f"gradcheck: output[{i}] is {y.dtype} though all inputs are float64: it was converted")
        return self.flatten([y.detach().numpy() for y in ys])

    def on_arrays(self, x: Vector) -> Vector:
        """Evaluate on raw arrays, which may be complex."""
        return self.flatten(self.outputs(self.split(x)))

    def pull(self, x: Vector, g: Vector) -> Vector:
        """J(x)^T g by a plain backward pass."""
        leaves = self.leaves(x)
        ys = self.outputs(leaves)
        found = _pull(leaves, ys, _split(g, self.output_shapes), create_graph=False)
        for name, part in zip(self.names, found, strict=True):
            if part.dtype != np.float64:
                raise TypeError(f"gradcheck: the gradient of {name} is {part.dtype}, though {name} is float64")
        return self.flatten([part.numpy() for part in found])

    def gradient(self, name: str) -> VectorFunction:
        """The function (x, g) -> J(x)^T g, recorded, so that it can be checked itself; `name` names g in messages."""
        n = len(self.shapes)

        def pulled(*tensors: Tensor) -> tuple[Tensor, ...]:
            return tuple(_pull(tensors[:n], self.outputs(tensors[:n]), tensors[n:], create_graph=True))

        cotangents = [f"{name}[{i}]" for i in range(len(self.output_shapes))]
        return VectorFunction(pulled, [*self.shapes, *self.output_shapes], [*self.names, *cotangents])

    def input_name(self, j: int) -> str:
        return _place(j, self.shapes, self.names)

    def output_name(self, i: int) -> str:
        return _place(i, self.output_shapes, [f"output[{k}]" for k in range(len(self.output_shapes))])


def _pull(inputs: Sequence[Tensor], ys: list[Any], g: Sequence[Any], create_graph: bool) -> list[Tensor]:
    heads = [(y, part) for y, part in zip(ys, g, strict=True) if y.requires_grad]
    found: Sequence[Any] = [None] * len(inputs)
    if heads:
        tops, cotangents = zip(*heads, strict=True)
        found = grad(tops, inputs, cotangents, create_graph=create_graph, allow_unused=True)
    return [wrap(np.zeros(x.shape)) if part is None else part for x, part in zip(inputs, found, strict=True)]


@dataclass(frozen=True, slots=True)
class Settings:
    eps: float
    rtol: float
    atol: float
    exact: bool  # by a complex step


@dataclass(frozen=True, slots=True)
class Finding:
    """One comparison of <J^T g, d> with <g, J d>. d is element j and g is output i, or None for a random vector."""

    rules: float
    differences: float
    allowed: float
    g: Vector
    i: int | None = None
    j: int | None = None

    @property
    def error(self) -> float:
        return abs(self.rules - self.differences)

    @property
    def ratio(self) -> float:
        ratio = self.error / self.allowed if self.allowed else float("inf") * self.error
        return ratio if np.isfinite(ratio) else float("inf")

    @property
    def wrong(self) -> bool:
        return not self.error <= self.allowed


class Probe:
    """Compares rules with differences, for one order at one point."""

    def __init__(self, f: VectorFunction, x: Vector, settings: Settings, y: Vector) -> None:
        self.f, self.x, self.y, self.settings = f, x, y, settings
        self.scale = np.maximum(1.0, np.abs(x))  # of a step, element by element
        self.top = float(np.abs(y).max(initial=0.0))

    def allowed(self, size: Any, g_size: float) -> Any:
        """The tolerance, plus the error that rounding of the function's values can cause in <g, J d>."""
        s = self.settings
        rounding = 0.0 if s.exact or not np.isfinite(self.top) else 4 * ROUNDOFF * self.top * g_size / s.eps
        return s.atol + s.rtol * size + rounding

    def quotient(self, d: Vector, eps: float | None = None) -> Vector:
        """J d, by a complex step or a central difference."""
        if self.settings.exact:
            return np.imag(self.f.on_arrays(self.x + 1e-30j * d)) / 1e-30
        h = self.settings.eps if eps is None else eps
        return (self.f(self.x + h * d) - self.f(self.x - h * d)) / (2 * h)

    def step(self, j: int) -> Vector:
        """The unit vector of element j, times the scale of its step."""
        d = np.zeros(self.x.size)
        d[j] = self.scale[j]
        return d

    def along(self, d: Vector, v: Vector, g: Vector) -> Finding:
        allowed = self.allowed(float(np.abs(v * d).sum()), float(np.abs(g).sum()))
        return Finding(float(v @ d), float(g @ self.quotient(d)), allowed, g)

    def entries(self, rows: Vector) -> list[Finding]:
        """Compare every entry of the Jacobian; `rows` are its rows by the rules."""
        units, found = np.eye(len(rows)), []
        for j in range(self.x.size):
            column = self.quotient(self.step(j)) / self.scale[j]
            for i, difference in enumerate(column):
                allowed = self.allowed(abs(difference), 1.0)
                found.append(Finding(float(rows[i, j]), float(difference), allowed, units[i], i, j))
        return found

    def search(self, failed: Finding, rng: np.random.Generator) -> Finding:
        """After a random direction failed: find the worst single element."""
        n, g = self.x.size, failed.g
        v = self.f.pull(self.x, g)
        found = [failed]
        for j in range(n) if n <= SEARCHED else map(int, rng.choice(n, SEARCHED, replace=False)):
            difference = float(g @ self.quotient(self.step(j))) / float(self.scale[j])
            allowed = self.allowed(abs(difference), float(np.abs(g).sum()))
            found.append(Finding(float(v[j]), difference, allowed, g, None, j))
        worst = max(found[1:], key=lambda finding: finding.ratio)
        return worst if worst.wrong else failed

    def where(self, finding: Finding) -> str:
        if finding.j is None:
            return "along a random direction"
        of = "under a random cotangent" if finding.i is None else f"of {self.f.output_name(finding.i)}"
        return f"at {self.f.input_name(finding.j)} {of}"


def _split(x: Vector, shapes: Sequence[tuple[int, ...]]) -> list[Vector]:
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(x, ends[:-1]), shapes, strict=True)] if shapes else []


def _place(j: int, shapes: Sequence[tuple[int, ...]], names: Sequence[str]) -> str:
    for shape, name in zip(shapes, names, strict=True):
        size = int(np.prod(shape))
        if j < size:
            return f"{name}[{', '.join(str(int(k)) for k in np.unravel_index(j, shape))}]" if shape else name
        j -= size
    raise IndexError(j)
