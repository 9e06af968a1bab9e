"""Do these results agree with the specification, on numbers that nobody drew? For kernels that a training runs.

It asks what `agree.py` asks, of arguments that are not a few normal numbers:

- Sums are long, and their terms may be of one sign. The rounding errors of n additions grow like sqrt(n) (Higham & Mary
  2019 [higham2019new], "A new approach to probabilistic rounding error analysis").
- Images may be nearly empty, and there Winograd's convolutions are right only by norm: what they add and take away
  again shows in results whose own terms are small.
- Numbers leave the dtype's range.
- There are kinks, where a rounding decides and both sides are right, in two operations. Batch norm's adjoint, where it
  is not given the output, finds the signs behind the ReLU again from x: a value within rounding of 0 lets all of its
  cotangent pass, or nothing. Centred RMSprop divides by the root of a difference, which a rounding may take from 0 to
  something.
"""

from collections.abc import Callable
from math import prod, sqrt
from typing import Any

import numpy as np

from tinyres_kernels.conformance.agree import ROUNDINGS, disagreements, right, standard, worst
from tinyres_kernels.conformance.calling import Arrays, specification
from tinyres_kernels.conformance.ops import OPS

HEADROOM = 1e3  # by how much the sum of the terms must stay below the largest number: parts of it may be larger


def faults(
    op_name: str, inputs: Arrays, outputs: Arrays, keywords: dict[str, Any], *, by_norm: bool = False
) -> list[str]:
    """A sentence for each of the `outputs` that is wrong; arguments as of `agree.disagreements`.

    by_norm: it is a convolution by an algorithm of Winograd's.

    At a kink each element may be off by what the values within rounding of it could have contributed, which is nothing
    where there are none. Nothing is asked where an argument is not finite, or a result's terms leave the range: which
    of infinity and NaN comes out may depend on the order of a sum, and that is not specified.
    """
    roundings = ROUNDINGS + sqrt(_length(op_name, inputs, outputs))
    if not all(np.isfinite(a).all() for a in inputs.values()):
        return []
    if not disagreements(op_name, inputs, outputs, keywords, roundings=roundings):
        return []
    expected, allowed = standard(OPS[op_name], inputs, outputs, keywords, roundings)
    number = np.finfo(next(a.dtype for a in outputs.values() if a.dtype.kind == "f"))
    eps = roundings * float(number.eps)
    if not all(np.all(size <= eps * float(number.max) / HEADROOM) for size in allowed.values()):
        return []
    wide = {name: a if a.dtype.kind == "i" else a.astype("float64") for name, a in inputs.items()}
    with np.errstate(all="ignore"):
        room = KINKS.get(op_name, _none)(wide, keywords, expected, eps)
    if by_norm:
        room = {"out": eps * _norms(op_name, wide, keywords, expected)}
    found = []
    for name, got in outputs.items():
        within = allowed[name] + room.get(name, 0)
        wrong = ~right(got, expected[name], within)
        if wrong.any():
            found.append(worst(name, wrong, got, expected[name], within))
    return found


def _length(op_name: str, inputs: Arrays, outputs: Arrays) -> int:
    """How many terms the longest of its sums has."""
    if op_name in ("conv2d", "conv2d_dx"):
        w = inputs["w"].shape
        return prod((*w[:2], w[2] if op_name == "conv2d" else w[3]))
    if op_name == "conv2d_dw":
        return prod(inputs["g"].shape[:3])
    longest = {
        "matmul": ("a", 1),
        "linear": ("x", 1),
        "column_sums": ("x", 0),
        "layer_norm": ("x", 1),
        "layer_norm_dx": ("x", 0),
        "rms_norm": ("x", 1),
        "rms_norm_dx": ("x", 0),
        "batch_norm": ("x", 0),
        "batch_norm_dx": ("x", 0),
        "cross_entropy": ("x", 1),
    }
    name, axis = longest.get(op_name, ("", 0))
    return int(inputs[name].shape[axis]) if name else 1


def _norms(op_name: str, inputs: Arrays, keywords: dict[str, Any], expected: Arrays) -> Any:
    """The sum of the terms' absolute values, were each pixel of a window multiplied by every tap of the kernel."""
    op, magnitudes = OPS[op_name], {name: abs(a) for name, a in inputs.items()}
    if "w" in inputs:
        magnitudes["w"] = np.broadcast_to(magnitudes["w"].sum(axis=(0, 1)), inputs["w"].shape)
    size = specification(op_name, magnitudes, expected, keywords, op.order)["out"]
    return size if "w" in inputs else size.sum(axis=(0, 1))


def _none(inputs: Arrays, keywords: dict[str, Any], expected: Arrays, eps: float) -> Arrays:
    return {}


def _signs(inputs: Arrays, keywords: dict[str, Any], expected: Arrays, eps: float) -> Arrays:
    """Of `batch_norm_dx`: what the cotangents of those values come to whose sign is not certain."""
    if not keywords["relu"] or "y" in inputs:
        return {}
    x, mean, weight = inputs["x"], inputs["mean"], inputs["weight"]
    scale = 1 / np.sqrt(inputs["variance"] + keywords["eps"])
    plain = (x - mean) * scale * weight + inputs["bias"]
    size = (abs(x) + abs(mean)) * scale * abs(weight) + abs(inputs["bias"])
    open_ = np.where(abs(plain) <= eps * size, abs(inputs["g"]), 0)
    h, M = abs(x - mean) * scale, len(x)
    total, along = open_.sum(axis=0), (open_ * h).sum(axis=0)
    shared = (total + h * along) / M if keywords["training"] else 0
    return {"out": abs(weight) * scale * (open_ + shared), "dweight": along, "dbias": total, "dresidual": open_}


def _root(inputs: Arrays, keywords: dict[str, Any], expected: Arrays, eps: float) -> Arrays:
    """Of `rmsprop`: the step is not asked for where v - a^2 is within rounding of 0."""
    if "new_a" not in expected:
        return {}
    square, centre = expected["new_v"], expected["new_a"] ** 2
    free = np.where(square - centre <= 4 * eps * (square + centre), np.inf, 0)
    return {name: free for name in ("out", "new_b") if name in expected}


KINKS: dict[str, Callable[[Arrays, dict[str, Any], Arrays, float], Arrays]] = {
    "batch_norm_dx": _signs,
    "rmsprop": _root,
}
