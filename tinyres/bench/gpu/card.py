"""The card: what it is, how fast it copies, how fast it multiplies matrices, and what a launch costs the host.

The first two rates are the roofs of a roofline: what a kernel reaches is told as a share of them.
"""

from __future__ import annotations

import datetime
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from tinyres import arrays
from tinyres.bench.device import TORCH, to_torch
from tinyres.bench.gpu.clocks import CupyClock, TorchClock, allow_tf32, free, load_torch
from tinyres.bench.gpu.parts import Row, attempt
from tinyres.bench.gpu.race import Peer, race

COPY_BYTES = 1 << 31
SIDE = 8192  # of the matrices: 1.1 TFLOP
LAUNCHES = 200
PACKAGES = ("tinyres", "numpy", "numba", "numba-cuda", "torch")


def rows(rounds: int) -> Iterator[Row]:
    yield attempt("card", describe)
    torch = load_torch()
    for name, measure in (
        ("copy", lambda: _copy(torch, rounds)),
        ("float32 matrix product", lambda: _products(torch, rounds, tf32=False)),
        ("TF32 matrix product", lambda: _products(torch, rounds, tf32=True)),
        ("launch", lambda: {"host_s": _launches(torch)}),
    ):
        yield attempt(name, measure)
        free(torch)


def describe() -> Row:
    """Names, sizes and versions."""
    import cupy

    runtime = cupy.cuda.runtime
    found = runtime.getDeviceProperties(runtime.getDevice())
    name = found.get("name", "?")
    torch = load_torch()
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
            **{package: _version(package) for package in PACKAGES},
            "cuDNN": torch.backends.cudnn.version() if torch else None,
        },
    }


def _cuda(number: int) -> str:
    """13010 is 13.1."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        if package == "tinyres":  # run from a checkout
            import tinyres

            return tinyres.__version__
        return None


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
    peers = {"CuPy": Peer([lambda: cupy.copyto(b, a)], CupyClock())}
    if torch is not None:
        c, d = (torch.ones(COPY_BYTES // 4, device=TORCH["cuda"]) for _ in range(2))
        peers["PyTorch"] = Peer([lambda: d.copy_(c)], TorchClock(torch))
    rates = {name: 2.0 * a.nbytes / r.device.median for name, r in race(peers, rounds).items()}
    return {"bytes_per_s": max(rates.values()), "by": rates}


def _products(torch: Any | None, rounds: int, tf32: bool) -> Row:
    """FLOP/s of a product of two square matrices of random numbers: the faster of cuBLAS by CuPy and by PyTorch."""
    import cupy

    drawn = np.random.default_rng(0).standard_normal((2, SIDE, SIDE), np.float32)
    peers = {}
    if not tf32:
        a, b = (arrays.to_device(x, "cuda") for x in drawn)
        out = cupy.empty_like(a)
        peers["CuPy"] = Peer([lambda: cupy.matmul(a, b, out=out)], CupyClock())
    if torch is not None:
        left, right = (to_torch(torch, x, "cuda") for x in drawn)
        product = torch.empty_like(left)
        peers["PyTorch"] = Peer([lambda: torch.matmul(left, right, out=product)], TorchClock(torch),
                                lambda: allow_tf32(torch, tf32))  # fmt: skip
    if not peers:
        raise RuntimeError("TF32 products are PyTorch's to make, which is not installed")
    rates = {name: 2.0 * SIDE**3 / r.device.median for name, r in race(peers, rounds).items()}
    return {"flops_per_s": max(rates.values()), "by": rates}


def _launches(torch: Any | None) -> dict[str, float]:
    """Seconds of the host for one call of a kernel with nothing to do."""
    tiny = arrays.to_device(np.ones((1, 1, 1, 1), np.float32), "cuda")
    rung = arrays.kernels_for(tiny)
    out = arrays.empty(tiny.shape, tiny)
    found = {f"{rung.__name__}.relu": _host(lambda: rung.relu(tiny, out, slope=0.0), CupyClock())}
    found["CuPy's maximum"] = _host(lambda: arrays.namespace(tiny).maximum(tiny, 0.0, out=out), CupyClock())
    if torch is not None:
        one = torch.ones(1, device=TORCH["cuda"])
        found["PyTorch's relu"] = _host(lambda: torch.relu(one), TorchClock(torch))
    return found


def _host(call: Callable[[], Any], clock: Any) -> float:
    call()
    clock.wait()
    began = time.perf_counter()
    for _ in range(LAUNCHES):
        call()
    taken = time.perf_counter() - began
    clock.wait()
    return taken / LAUNCHES
