"""How exact are float32 convolutions? Ours and PyTorch's beside the same in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinyres.bench import convolutions
from tinyres.bench.convolutions import FORMATS, PASSES, Shape
from tinyres.bench.report import Target, Verdict, table

TARGET = Target(2.0)


class Error(NamedTuple):
    """Largest error / largest number, and root mean square error / root mean square."""

    largest: float
    rms: float


class Row(NamedTuple):
    shape: Shape
    which: str
    ours: Error
    pytorch: dict[str, Error]  # by memory format
    rival: str | None  # the format that counts

    @property
    def ratio(self) -> float | None:
        """Ours / PyTorch's, of both measures the worse."""
        if self.rival is None:
            return None
        return max(a / b for a, b in zip(self.ours, self.pytorch[self.rival], strict=True))

    def to_json(self) -> dict[str, Any]:
        errors = {"ours": self.ours, **self.pytorch}
        found = {name: e._asdict() for name, e in errors.items()}
        return {"shape": self.shape._asdict(), "pass": self.which, "ratio": self.ratio, "errors": found}


def measure(
    torch: Any | None,
    shapes: Sequence[Shape],
    rivals: Mapping[tuple[Shape, str], str | None],
    tick: Callable[[], Any] = lambda: None,
) -> list[Row]:
    """Every shape and pass of the compiled rung and of PyTorch; `im2col` in float64 is the truth.

    `rivals`: for each shape and pass PyTorch's faster format, so that one computation is judged for speed and error.
    """
    from tinyres_kernels import cpu, im2col

    rows = []
    for shape in shapes:
        arrays = convolutions.draw(shape)
        exact = convolutions.ours(im2col, shape, convolutions.draw(shape, np.float64))
        for which, calls in convolutions.peers(torch, shape, arrays, {"cpu": cpu}).items():
            truth = exact[which]()
            own = error(calls.pop("cpu")(), truth)
            theirs = {name: error(convolutions.as_ours(which, call()), truth) for name, call in calls.items()}
            rows.append(Row(shape, which, own, theirs, rivals[shape, which]))
            tick()
    return rows


def error(result: Any, truth: Any) -> Error:
    gap = result - truth
    largest = abs(gap).max() / abs(truth).max()
    return Error(float(largest), float((gap * gap).mean() / (truth * truth).mean()) ** 0.5)


def show(to: Any, rows: list[Row]) -> list[Verdict]:
    """Print the table; the verdict is on the worst ratio."""
    title = "float32 against float64: largest error / largest number, and rms error / rms"
    columns = ["N, C, H -> O, K, stride", "pass", "ours", "rms", "PyTorch, last", "rms", "first", "rms", "ratio"]
    made = table(title, columns, left=2)
    made.caption = "last, first: where PyTorch has its channels. ratio: ours / PyTorch's faster (*), the worse of both"
    for row in rows:
        errors = {name: ["-", "-"] for name in FORMATS} | {
            name: [f"{e.largest:.2e}" + ("*" if name == row.rival else " "), f"{e.rms:.2e}"]
            for name, e in row.pytorch.items()
        }
        name = str(row.shape) if row.which == PASSES[0] else ""
        ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
        theirs = [cell for cells in errors.values() for cell in cells]
        made.add_row(name, row.which, f"{row.ours.largest:.2e}", f"{row.ours.rms:.2e}", *theirs, ratio)
    to.print(made)
    ratios = [row.ratio for row in rows if row.ratio is not None]
    return [Verdict("worst float32 error, ours / PyTorch", max(ratios), TARGET)] if ratios else []
