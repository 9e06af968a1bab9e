"""What this machine can do: its peak of fused multiply-adds, and how fast memory streams, with the threads we use.

Both are measured with code that does nothing else. What a kernel reaches is then told as a share of them: they are the
two roofs of the roofline (Williams et al. 2009 [williams2009roofline]).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils as _cgutils
from numba.extending import intrinsic
from tinyres_kernels.cpu.host import TARGET, threads
from tinyres_kernels.cpu.jit import kernel

from tinyres.bench.clocks import seconds

cgutils: Any = _cgutils  # which is not typed

# Independent sums: an FMA takes about 4 cycles and two can start in each, so that 8 would do; the registers hold more.
SUMS = 24 if TARGET.registers == 32 else 12
STEPS = 2_000_000  # a few milliseconds
CACHED_BYTES = 8 << 20  # an array of this size, as large as a ResNet's first activations, stays in the outer cache
FALLBACK_CACHE = 64 << 20  # where the system does not tell the size of the last level


class Machine(NamedTuple):
    """FLOP/s in float32 (an FMA is two), bytes/s of a triad over large arrays and over cached ones, and their sizes."""

    threads: int
    lanes: int
    flops: float
    memory_bandwidth: float
    memory_bytes: int
    cache_bandwidth: float
    cache_bytes: int
    last_level_cache: int

    def __str__(self) -> str:
        return (
            f"{self.threads} threads, {self.lanes} float32 lanes: {self.flops / 1e9:.0f} GFLOP/s fused multiply-add; "
            f"triad {self.memory_bandwidth / 1e9:.1f} GB/s over {self.memory_bytes / 1e6:.0f} MB, "
            f"{self.cache_bandwidth / 1e9:.1f} GB/s over {self.cache_bytes / 1e6:.0f} MB"
        )


def measure() -> Machine:
    """Measure all of it; about two seconds."""
    cache = last_level_cache()
    large = large_bytes(cache)
    return Machine(
        threads(), TARGET.lanes, peak_flops(), triad(large), large, triad(3 * CACHED_BYTES), 3 * CACHED_BYTES, cache
    )


def peak_flops(steps: int = STEPS, repeats: int = 15) -> float:
    """The best of `repeats` runs of nothing but independent FMAs in registers: an upper limit is a maximum."""
    count = threads()
    numbers = np.linspace(0.5, 0.9, count * (SUMS + 2) * TARGET.lanes, dtype=np.float32)

    def burst() -> None:
        _fma(count, steps, numbers, (SUMS + 2) * TARGET.lanes)

    burst()
    best = min(seconds(burst) for _ in range(repeats))
    return 2.0 * SUMS * TARGET.lanes * steps * count / best


def triad(total_bytes: int, repeats: int = 7) -> float:
    """Bytes a second of a = b + s c (McCalpin's STREAM) over three arrays of `total_bytes` together, the best of some.

    Counted as in STREAM, two arrays read and one written; that a write first fetches its line is not counted.
    """
    size = total_bytes // 12
    a, b, c = np.empty(size, np.float32), np.ones(size, np.float32), np.ones(size, np.float32)
    count = threads()

    def run() -> None:
        _triad(count, a, b, c, np.float32(0.5))

    run()
    return 12.0 * size / min(seconds(run) for _ in range(repeats))


def large_bytes(cache: int) -> int:
    """Four times the last-level cache, so that nothing is left in it from pass to pass; an eighth of memory at most."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        memory = 4 << 30
    return min(4 * cache, memory // 8)


def last_level_cache() -> int:
    """Its size in bytes, as Linux tells it."""
    largest = 0
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = path.read_text().strip()
        unit = {"K": 1 << 10, "M": 1 << 20}.get(text[-1:], 1)
        largest = max(largest, int(text.rstrip("KM")) * unit)
    return largest or FALLBACK_CACHE


def _burst(typing: Any, steps: Any, numbers: Any, at: Any) -> Any:
    """numbers[at + i lanes + lane] <- f(f(... f(itself))), f(s) = s * factor + term, for all sums i at once.

    Numba cannot be made to keep an array of sums in registers, so the loop is emitted. The sums start from different
    numbers: equal ones would be computed once.
    """
    signature = types.void(types.intp, numbers, types.intp)

    def generate(context: Any, b: Any, signature: Any, args: Sequence[Any]) -> Any:
        steps, numbers, at = args
        vector = ir.VectorType(ir.FloatType(), TARGET.lanes)
        data = context.make_array(signature.args[1])(context, b, numbers).data
        start = b.bitcast(b.gep(data, [at]), vector.as_pointer())
        places = [b.gep(start, [ir.Constant(ir.IntType(64), i)]) for i in range(SUMS + 2)]
        kind = ir.FunctionType(vector, [vector] * 3)
        fma = cgutils.get_or_insert_function(b.module, kind, f"llvm.fma.v{TARGET.lanes}f32")
        sums = [cgutils.alloca_once(b, vector) for _ in range(SUMS)]
        for place, total in zip(places, sums, strict=False):
            b.store(b.load(place, align=4), total)
        factor, term = (b.load(place, align=4) for place in places[SUMS:])
        with cgutils.for_range(b, steps):
            for total in sums:
                b.store(b.call(fma, [b.load(total), factor, term]), total)
        for place, total in zip(places, sums, strict=False):
            b.store(b.load(total), place, align=4)
        return context.get_dummy_value()

    return signature, generate


_run_burst: Any = intrinsic(_burst)


@kernel
def _fma(t: int, threads: int, steps: int, numbers: Any, share: int) -> None:
    _run_burst(steps, numbers, t * share)


@kernel
def _triad(t: int, threads: int, a: Any, b: Any, c: Any, s: Any) -> None:
    for i in range(len(a) * t // threads, len(a) * (t + 1) // threads):
        a[i] = b[i] + s * c[i]
