"""How exact are float32 convolutions? Ours and PyTorch's beside the same in float64."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tinyres import arrays
from tinyres.bench import convolutions
from tinyres.bench.convolutions import Arrays, Shape
from tinyres.bench.peers import FORMATS


class Error(NamedTuple):
    """Largest error / largest number, and root mean square error / root mean square."""

    largest: float
    rms: float

    def worse(self, other: Error) -> float:
        """This / the other, of both measures the worse."""
        return max(a / b for a, b in zip(self, other, strict=True))


def errors(
    shape: Shape, which: str, drawn: Arrays, results: Mapping[str, Any], device: str = "cpu"
) -> dict[str, Error]:
    """Of each peer's result. The truth is `im2col` in float64: NumPy's formula, and BLAS; on a GPU cuBLAS."""
    from tinyres_kernels import im2col

    wide = Arrays(*(arrays.to_device(a.astype(np.float64), device) for a in drawn))
    truth = convolutions.ours(im2col, shape, wide)[which]()
    return {name: error(result, truth) for name, result in results.items()}


def error(result: Any, truth: Any) -> Error:
    gap = result - truth
    largest = abs(gap).max() / abs(truth).max()
    return Error(float(largest), float((gap * gap).mean() / (truth * truth).mean()) ** 0.5)


def cells(errors: Mapping[str, Error], rival: str | None) -> list[str]:
    """Both measures of PyTorch's two formats, the one that counts being marked."""
    found = {name: ["-", "-"] for name in FORMATS} | {
        name: [f"{e.largest:.2e}" + ("*" if name == rival else " "), f"{e.rms:.2e}"] for name, e in errors.items()
    }
    return [cell for name in FORMATS for cell in found[name]]
