"""The convolutions that are measured, and how each library is asked for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import prod
from typing import Any, NamedTuple

import numpy as np

from tinyres.arrays import empty, to_device
from tinyres.bench.clocks import Call
from tinyres.bench.device import from_torch, to_torch
from tinyres.bench.peers import layout, rivals
from tinyres.bench.race import Peer

Pair = tuple[int, int]
PASSES = ("forward", "dx", "dw")


class Shape(NamedTuple):
    """Square images (N, C, H, H) to as square ones of O channels, kernel K x K, or of its own height and width."""

    N: int
    C: int
    H: int
    O: int
    K: int | Pair
    stride: int
    padding: int | Pair = 1
    groups: int = 1

    def __str__(self) -> str:
        kernel = self.K if isinstance(self.K, int) else "x".join(map(str, self.K))
        groups = "" if self.groups == 1 else f", {self.groups} groups"
        return f"{self.N}, {self.C}, {self.H} -> {self.O}, {kernel}, {self.stride}{groups}"

    @property
    def kernel(self) -> Pair:
        return _pair(self.K)

    @property
    def pads(self) -> Pair:
        return _pair(self.padding)

    @property
    def weight(self) -> tuple[int, ...]:
        """(KH, KW, C / groups, O)."""
        return (*self.kernel, self.C // self.groups, self.O)

    @property
    def out(self) -> int:
        """Rows, and columns, of the result."""
        return (self.H + 2 * self.pads[0] - self.kernel[0]) // self.stride + 1

    @property
    def flops(self) -> float:
        """Of the direct convolution, a multiply-add being two, whatever way it is computed."""
        return 2.0 * self.N * self.out**2 * prod(self.weight)

    @property
    def bytes(self) -> float:
        """Compulsory traffic in float32, of each of the three passes: image, weight and result go by once."""
        return 4.0 * (self.N * self.H**2 * self.C + prod(self.weight) + self.N * self.out**2 * self.O)

    @property
    def intensity(self) -> float:
        """FLOP a byte."""
        return self.flops / self.bytes


def _pair(sizes: int | Pair) -> Pair:
    return (sizes, sizes) if isinstance(sizes, int) else sizes


class Arrays(NamedTuple):
    """Channels last: x (N, H, H, C), w (KH, KW, C / groups, O), g (N, OH, OH, O)."""

    x: Any
    w: Any
    g: Any


def draw(shape: Shape, dtype: Any = np.float32, seed: int = 0) -> Arrays:
    """Normal numbers; the same in float32 and float64, up to rounding to float32."""
    rng = np.random.default_rng(seed)
    N, C, H, O = shape[:4]
    sizes = (N, H, H, C), shape.weight, (N, shape.out, shape.out, O)
    return Arrays(*(rng.standard_normal(size, np.float32).astype(dtype, copy=False) for size in sizes))


def ours(rung: Any, shape: Shape, arrays: Arrays) -> dict[str, Call]:
    """The three passes by one of our kernel sets, from the unpadded input to a new output, out of the memory that the
    library's operations take theirs from (PyTorch's come from the C library's, which recycles, too)."""
    x, w, g = arrays
    how = {"stride": (shape.stride,) * 2, "padding": shape.pads, "dilation": (1, 1), "groups": shape.groups}
    return {
        "forward": lambda: rung.conv2d(x, w, empty(g.shape, x), **how),
        "dx": lambda: rung.conv2d_dx(g, w, empty(x.shape, x), **how),
        "dw": lambda: rung.conv2d_dw(x, g, empty(w.shape, x), **how),
    }


def pytorch(torch: Any, shape: Shape, arrays: Arrays, channels_last: bool, device: str = "cpu") -> dict[str, Call]:
    """The same by PyTorch, image and weight in one of its two memory formats; `arrays` are NumPy's."""
    logical = (arrays.x.transpose(0, 3, 1, 2), arrays.w.transpose(3, 2, 0, 1), arrays.g.transpose(0, 3, 1, 2))
    x, w, g = (to_torch(torch, a, device).contiguous(memory_format=layout(torch, channels_last)) for a in logical)
    step, pad, groups = [shape.stride] * 2, list(shape.pads), shape.groups

    def backward(mask: list[bool]) -> Callable[[], Any]:
        function = torch.ops.aten.convolution_backward
        place = mask.index(True)
        return lambda: function(g, x, w, None, step, pad, [1, 1], False, [0, 0], groups, mask)[place]

    return {
        "forward": lambda: torch.nn.functional.conv2d(x, w, None, step, pad, 1, groups),
        "dx": backward([True, False, False]),
        "dw": backward([False, True, False]),
    }


def as_ours(which: str, result: Any, device: str = "cpu") -> Any:
    """PyTorch's result in our order of axes, without a copy."""
    return from_torch(result.permute(*((2, 3, 1, 0) if which == "dw" else (0, 2, 3, 1))), device)


def _placed(a: Any) -> Any:
    copy = empty(a.shape, a)
    copy[...] = a
    return copy


def peers(
    torch: Any | None, shape: Shape, drawn: Arrays, rungs: Mapping[str, Any], device: str = "cpu", many: int = 1
) -> dict[str, dict[str, Peer]]:
    """By pass, then by name: our kernel sets, and PyTorch's formats; on a GPU these with TF32 and without.

    The inputs are drawn once, and lie on the device in each layout in `many` places: a cache goes by places, whatever
    the numbers are. Ours lie as a net's do, from a multiple of 64 bytes on (as PyTorch's).
    """
    found: dict[str, dict[str, Peer]] = {which: {} for which in PASSES}
    there = [Arrays(*(_placed(to_device(a, device)) for a in drawn)) for _ in range(many)]
    for name, rung in rungs.items():
        made = [ours(rung, shape, arrays) for arrays in there]
        for which in PASSES:
            found[which][name] = Peer([each[which] for each in made])
    of_format: dict[bool, list[dict[str, Call]]] = {}
    for name, last, before in rivals(torch, tf32=device == "cuda"):
        if last not in of_format:
            of_format[last] = [pytorch(torch, shape, drawn, last, device) for _ in range(many)]
        for which in PASSES:
            read = partial(as_ours, which, device=device)
            found[which][name] = Peer([each[which] for each in of_format[last]], before, read)
    return found
