"""The card: what it is, how fast it copies, how fast it multiplies matrices, and what a launch costs the host.

The first two rates are the roofs of a roofline: what a kernel reaches is told as a share of them.
"""

from __future__ import annotations

import datetime
import platform
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinyres import arrays
from tinyres.bench import peers
from tinyres.bench.clocks import Call, CudaClock
from tinyres.bench.device import TORCH, to_torch
from tinyres.bench.gpu.parts import Row, attempt
from tinyres.bench.race import Peer, pace, race
from tinyres.bench.report import version

COPY_BYTES = 1 << 31
SIDE = 8192  # of the matrices: 1.1 TFLOP
LAUNCHES = 200
PACKAGES = ("tinyres", "numpy", "numba", "numba-cuda", "torch")


def rows(rounds: int) -> Iterator[Row]:
    yield attempt("card", describe)
    torch = peers.load_torch("cuda")
    for name, measure in (
        ("copy", lambda: _copy(torch, rounds)),
        ("float32 matrix product", lambda: _products(torch, rounds, tf32=False)),
        ("TF32 matrix product", lambda: _products(torch, rounds, tf32=True)),
        ("launch", lambda: {"host_s": _launches(torch)}),
    ):
        yield attempt(name, measure)
        peers.free(torch)


def describe() -> Row:
    """Names, sizes and versions."""
    import cupy

    runtime = cupy.cuda.runtime
    found = runtime.getDeviceProperties(runtime.getDevice())
    name = found.get("name", "?")
    torch = peers.load_torch("cuda")
    return {
        "card": name.decode() if isinstance(name, bytes) else str(name),
        "compute_capability": f"{found.get('major')}.{found.get('minor')}",
        "multiprocessors": found.get("multiProcessorCount"),
        "l2_bytes": found.get("l2CacheSize"),
        "memory_bytes": found.get("totalGlobalMem"),
        "date": datetime.date.today().isoformat(),
        "versions": {
            "driver": _driver(),
            "CUDA of the driver": _cuda(runtime.driverGetVersion()),
            "CUDA of CuPy": _cuda(runtime.runtimeGetVersion()),
            "python": platform.python_version(),
            "cupy": cupy.__version__,
            **{package: version(package) for package in PACKAGES},
            "cuDNN": torch.backends.cudnn.version() if torch else None,
        },
    }


def _cuda(number: int) -> str:
    """13010 is 13.1."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _driver() -> str | None:
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    ask = [command, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        told = subprocess.run(ask, capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    return told.split("\n")[0].strip() or None


def _copy(torch: Any | None, rounds: int) -> Row:
    """Bytes a second from the card to itself, read and written both counted; the faster of CuPy's and PyTorch's."""
    import cupy

    a, b = (cupy.ones(COPY_BYTES // 4, "float32") for _ in range(2))
    both = {"CuPy": Peer([lambda: cupy.copyto(b, a)])}
    if torch is not None:
        c, d = (torch.ones(COPY_BYTES // 4, device=TORCH["cuda"]) for _ in range(2))
        both["PyTorch"] = Peer([lambda: d.copy_(c)])
    rates = _rates(both, 2.0 * a.nbytes, rounds)
    return {"bytes_per_s": max(rates.values()), "by": rates}


def _products(torch: Any | None, rounds: int, tf32: bool) -> Row:
    """FLOP/s of a product of two square matrices of random numbers: the faster of cuBLAS by CuPy and by PyTorch."""
    import cupy

    drawn = np.random.default_rng(0).standard_normal((2, SIDE, SIDE), np.float32)
    both = {}
    if not tf32:
        a, b = (arrays.to_device(x, "cuda") for x in drawn)
        out = cupy.empty_like(a)
        both["CuPy"] = Peer([lambda: cupy.matmul(a, b, out=out)])
    if torch is not None:
        left, right = (to_torch(torch, x, "cuda") for x in drawn)
        product = torch.empty_like(left)
        call = lambda: torch.matmul(left, right, out=product)
        both["PyTorch"] = Peer([call], lambda: peers.allow_tf32(torch, tf32))
    if not both:
        raise RuntimeError("TF32 products are PyTorch's to make, which is not installed")
    rates = _rates(both, 2.0 * SIDE**3, rounds)
    return {"flops_per_s": max(rates.values()), "by": rates}


def _rates(both: dict[str, Peer], amount: float, rounds: int) -> dict[str, float]:
    """How much a second the card does by itself."""
    return {name: amount / t.median for name, t in race(both, CudaClock(held=True), rounds).items()}


def _launches(torch: Any | None) -> dict[str, float]:
    """Seconds of the host for one call of a kernel with nothing to do."""
    tiny = arrays.to_device(np.ones(1, np.float32), "cuda")
    rung = arrays.kernels_for(tiny)
    out = arrays.empty(tiny.shape, tiny)
    calls: dict[str, Call] = {
        f"{rung.__name__}.relu": lambda: rung.relu(tiny, out, slope=0.0),
        "CuPy's maximum": lambda: arrays.namespace(tiny).maximum(tiny, 0.0, out=out),
    }
    if torch is not None:
        one = torch.ones(1, device=TORCH["cuda"])
        calls["PyTorch's relu"] = lambda: torch.relu(one)
    return {name: pace([call] * LAUNCHES, CudaClock()).host for name, call in calls.items()}
