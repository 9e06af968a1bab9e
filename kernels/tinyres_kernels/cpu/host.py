"""What the compiled code may use: vector width and registers of the target, and threads."""

import importlib
import os
import sys
from collections.abc import Callable
from typing import NamedTuple

import numba
from llvmlite import binding
from numba.np.ufunc import parallel

from tinyres_kernels.cpu.choices import limit

_WIDE = ("avx512", "skx", "icelake", "sapphire", "granite", "cascade", "cooper", "tiger", "rocket", "znver4", "znver5")


_AVX2 = ("haswell", "broadwell", "skylake", "alderlake", "znver", "x86-64-v3")


class Target(NamedTuple):
    """lanes: float32 numbers in one vector register; registers: how many vectors an inner loop can hold.

    Tiles have as many sums as the registers hold beside the operands. By the number of vectors in a row of a tile:
    """

    lanes: int
    registers: int

    @property
    def pixels(self) -> dict[int, tuple[int, ...]]:
        """Pixels of a tile of `conv2d`: the largest, and smaller ones for what is left over."""
        return {1: (16, 8, 4, 1), 2: (14, 8, 4, 1)} if self.registers == 32 else {1: (8, 4, 2, 1), 2: (6, 4, 2, 1)}

    @property
    def taps(self) -> dict[int, int]:
        """Taps of a tile of `conv2d_dw`."""
        return {1: 16, 2: 12} if self.registers == 32 else {1: 8, 2: 6}

    @property
    def row_taps(self) -> int:
        """Channels that `conv2d_dw` takes at a time, where it takes three taps next to each other."""
        return 8 if self.registers == 32 else 4


def _target() -> Target:
    """Of the machine that Numba compiles for: `NUMBA_CPU_NAME` and `NUMBA_CPU_FEATURES` count, else the host."""
    name, features = (getattr(numba.config, setting, None) for setting in ("CPU_NAME", "CPU_FEATURES"))
    if name and name != "host":
        wide = any(w in name for w in _WIDE) or "+avx512f" in (features or "")
        avx = any(w in name for w in _AVX2) or "+avx2" in (features or "")
    else:
        found = binding.get_host_cpu_features()
        wide, avx = bool(found.get("avx512f")), bool(found.get("avx2") and found.get("fma"))
    if wide:
        return Target(16, 32)
    return Target(8, 16) if avx else Target(4, 16)


TARGET = _target()

# OpenMP, unless the user chose: Numba's own pool ("workqueue") stalls for whole scheduler ticks. A thread that waits
# spins for some 4 ms, longer than what Python does between two kernels, and then gives its core back: on a busy machine
# one that spins holds up the very thread that it is waiting for.
os.environ.setdefault("GOMP_SPINCOUNT", "100000")
if not os.environ.get("NUMBA_THREADING_LAYER"):
    setattr(numba.config, "THREADING_LAYER", "omp")  # noqa: B010 (which its stubs do not know)
try:
    importlib.import_module("numba.np.ufunc.omppool")
    PARALLEL = True
except ImportError:
    PARALLEL = os.environ.get("NUMBA_THREADING_LAYER", "") in ("tbb", "workqueue")
    if not PARALLEL:
        print("tinyres_kernels: OpenMP is not available, so the CPU kernels run on one thread", file=sys.stderr)

_forked = False
_count: Callable[[], int] | None = None  # asks Numba how many threads it uses


def _after_fork() -> None:
    global _forked
    _forked = True  # a forked child that enters an OpenMP region is killed


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(after_in_child=_after_fork)


def threads(multiplications: float = float("inf")) -> int:
    """How many threads to use: Numba's count (`numba.set_num_threads`); one for little work and in a forked child."""
    if _forked or not PARALLEL or multiplications < limit("worth_a_thread"):
        return 1
    return int(limit("threads") or _counted())


def _counted() -> int:
    """`numba.get_num_threads()` without the two locks that it passes at each call: a small net's step asks hundreds of
    times."""
    global _count
    if _count is None:
        found = numba.get_num_threads()  # starts the threads, if nothing has
        _count = getattr(parallel, "_get_num_threads", numba.get_num_threads)
        return found
    return _count()
