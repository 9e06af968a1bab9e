"""Compiling the kernels, by way of CuPy, and launching them: the one place that knows CuPy's names."""

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinyres_kernels.namespace import Array, namespace

HERE = Path(__file__).parent
THREADS = 256
LEAST = 80  # the compute capability, times ten, that has these instructions


class Variant(NamedTuple):
    """What the kernels are compiled for: columns of a tile, products a number, and words of a copy."""

    columns: int = 128
    products: int = 3
    a_words: int = 1
    b_words: int = 1

    @property
    def options(self) -> tuple[str, ...]:
        return ("-std=c++17", *(f"-D{name.upper()}={value}" for name, value in self._asdict().items()))


@cache
def source() -> str:
    """The whole program: the instructions' names, then the kernels."""
    return "\n".join((HERE / name).read_text(encoding="utf-8") for name in ("machine.cuh", "convolution.cu"))


def launch(name: str, variant: Variant, grid: tuple[int, int, int], arrays: tuple[Array, ...], *numbers: int) -> None:
    """Run a kernel on the stream that CuPy works on at present. Nothing waits for its end.

    Raises:
        TypeError: the arrays are not CuPy's.
        RuntimeError: the GPU has no such tensor cores.
    """
    xp = namespace(*arrays)
    if xp.__name__ != "cupy":
        raise TypeError(
            f"the tensor-core kernels need CuPy arrays, got {xp.__name__}'s: move them with cupy.asarray, or take the "
            "kernel sets cpu or im2col"
        )
    with arrays[0].device:
        _kernel(xp, arrays[0].device.id, variant, name)(grid, (THREADS,), (*arrays, *map(np.int32, numbers)))


@cache
def _kernel(xp: Any, device: int, variant: Variant, name: str) -> Any:
    capability = str(xp.cuda.Device(device).compute_capability)
    if xp.cuda.runtime.is_hip or int(capability) < LEAST:
        raise RuntimeError(
            f"the tensor-core kernels need an NVIDIA GPU of compute capability 8.0 or later (Ampere), and this one has "
            f"{capability}: take tinyres_kernels.cuda, which runs on every CUDA GPU"
        )
    return xp.RawModule(code=source(), options=variant.options).get_function(name)
