"""Does the first kernel run at all? Short checks, each by itself, before minutes are spent on anything else.

Those that are `needed` are a gate: where one of them fails, nothing that is measured afterwards would count. What they
compare the card with is `im2col` on the CPU, which nobody has to compile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import tinyres as tr
from tinyres import arrays
from tinyres.bench import peers, resnet
from tinyres.bench.clocks import Call, CudaClock
from tinyres.bench.gpu.parts import PARTS, Row, attempt
from tinyres.bench.race import pace

GATE = "gate"  # the row that says whether to go on
RUNG = "tinyres_kernels.cuda"
ROWS, COLUMNS = 40_000, 17  # of what is normalised: several parts, and no multiple of anything
LONG = 1 << 24  # numbers of an array that a kernel is busy with for a while
BATCH = 16
BATCHES = (8, 128, 1024)  # of the training steps whose launches are timed
CALLS = 500
SHAPES = {  # images, channels, size, outputs, kernel, stride, padding
    "64 to 64": (4, 64, 14, 64, 3, 1, 1), "3 to 16": (4, 3, 32, 16, 3, 1, 1), "halves": (4, 32, 17, 64, 3, 2, 1),
    "tails": (3, 37, 11, 45, 3, 1, 1), "1x1": (4, 64, 14, 128, 1, 1, 0),
}  # fmt: skip
NAMES = {"conv2d": "xwg", "conv2d_dx": "gwx", "conv2d_dw": "xgw"}


class Check(NamedTuple):
    """look: raises where something is wrong, and gives words or numbers worth keeping."""

    name: str
    look: Callable[[Any, np.random.Generator], Row]
    needed: bool


CHECKS: list[Check] = []
Look = Callable[[Any, np.random.Generator], Row]


def check(name: str, needed: bool = True) -> Callable[[Look], Look]:
    def declare(look: Look) -> Look:
        CHECKS.append(Check(name, look, needed))
        return look

    return declare


def rows(rounds: int) -> Iterator[Row]:
    """A row a check, and the gate's: shut until the last one is through."""
    yield {"name": GATE, "open": False, "shut by": ["the checks did not come to their end"]}
    shut = []
    for name, look, needed in CHECKS:
        began = time.perf_counter()
        row = attempt(name, partial(_looked, look))
        if needed and "error" in row:
            shut.append(name)
        yield row | {"needed": needed, "seconds": time.perf_counter() - began}
    yield {"name": GATE, "open": not shut, "shut by": shut}


def _looked(look: Look) -> Row:
    try:
        return look(arrays.kernels_for(_there(np.ones(1, np.float32))), np.random.default_rng(0))
    except AssertionError as wrong:  # the numbers that differ stand below an empty line
        raise RuntimeError(" ".join(str(wrong).split()) or "wrong numbers") from wrong


def gate(rows: list[Row]) -> list[str]:
    """What keeps the gate shut; nothing where it is open."""
    found = {row["name"]: row for row in rows if row["part"] == "smoke"}
    shut = found.get(GATE, {"shut by": ["no smoke check was made"]})["shut by"]
    if "error" in found.get(PARTS["smoke"].title, {}):  # whatever an earlier run has found
        shut = [PARTS["smoke"].title, *shut]
    return [f"{name}: {found[name]['error']}" if "error" in found.get(name, {}) else name for name in shut]


def _there(array: Any) -> Any:
    return arrays.to_device(array, "cuda")


def _here(array: Any) -> Any:
    return arrays.to_device(array, "cpu")


def _draw(rng: np.random.Generator, *size: int) -> Any:
    return rng.standard_normal(size, np.float32)


def _rubbish(shape: tuple[int, ...], value: float = np.nan) -> Any:
    """What a kernel has to overwrite."""
    return _there(np.full(shape, value, np.float32))


@check("CuPy computes")
def _cupy(rung: Any, rng: np.random.Generator) -> Row:
    import cupy

    found = float((cupy.arange(10.0) + 1).sum())
    assert found == 55, f"the sum of 1 to 10 is {found}"
    return {"cupy": cupy.__version__}


@check("the CUDA kernels serve")
def _serve(rung: Any, rng: np.random.Generator) -> Row:
    assert rung.__name__ == RUNG, f"kernels come from {rung.__name__}, {RUNG} is needed"
    return {"rung": rung.__name__}


@check("a first launch: compiler, linker, driver")
def _first(rung: Any, rng: np.random.Generator) -> Row:
    a = _draw(rng, 1003)
    np.testing.assert_array_equal(_here(rung.add(_there(a), _there(a), _rubbish(a.shape))), a + a)
    return {}


@check("an array that begins between 16 bytes")
def _between(rung: Any, rng: np.random.Generator) -> Row:
    a = _draw(rng, 1004)
    view = _there(a)[1:]
    np.testing.assert_array_equal(_here(rung.add(view, view, _rubbish(view.shape))), a[1:] + a[1:])
    return {}


@check("a kernel that calls another function")
def _helper(rung: Any, rng: np.random.Generator) -> Row:
    a = _draw(rng, 1003)
    out = _here(rung.relu(_there(a), _rubbish(a.shape), slope=0.1))
    np.testing.assert_array_equal(out, np.where(a > 0, a, a * np.float32(0.1)))
    assert float((_there(a) * 0 + 1).sum()) == 1003, "CuPy lost its context"
    return {}


def _convolutions(kernels: Any, rng: np.random.Generator, most: float) -> Row:
    from tinyres_kernels import im2col

    worst = 0.0
    for title, (N, C, H, O, K, s, p) in SHAPES.items():
        out = (H + 2 * p - K) // s + 1
        arrays = {"x": _draw(rng, N, H, H, C), "w": _draw(rng, K, K, C, O), "g": _draw(rng, N, out, out, O)}
        how: Any = {"stride": (s, s), "padding": (p, p), "dilation": (1, 1), "groups": 1}
        for op, names in NAMES.items():
            first, second, result = (arrays[name] for name in names)
            call = partial(getattr(kernels, op), _there(first), _there(second), **how)
            once, again = (_here(call(_rubbish(result.shape, value))) for value in (np.nan, 7.0))
            truth = np.empty(result.shape)
            getattr(im2col, op)(first.astype("d"), second.astype("d"), truth, **how)
            error = float(np.linalg.norm(once - truth) / np.linalg.norm(truth))
            assert error < most, f"{title}, {op}: error {error:.1e}, at most {most} is right"
            assert once.tobytes() == again.tobytes(), f"{title}, {op}: other bits the second time: a race"
            worst = max(worst, error)
    return {"worst error": worst}


@check("convolutions against float64, the same bits twice")
def _tiled(rung: Any, rng: np.random.Generator) -> Row:
    return _convolutions(rung, rng, 2e-6)


@check("convolutions on tensor cores", needed=False)
def _cores(rung: Any, rng: np.random.Generator) -> Row:
    from tinyres_kernels.cuda import tensor_core

    return _convolutions(tensor_core, rng, 5e-6)


@check("batch norm, both ways, in many parts")
def _norm(rung: Any, rng: np.random.Generator) -> Row:
    from tinyres_kernels import im2col

    x, g, w, b = _draw(rng, ROWS, COLUMNS) + 3, _draw(rng, ROWS, COLUMNS), _draw(rng, COLUMNS), _draw(rng, COLUMNS)
    found = []
    for kernels, put in ((rung, _there), (im2col, np.asarray)):
        xs, gs, ws, bs = map(put, (x, g, w, b))
        out, dx, mean, var, dw, db = (put(np.full_like(a, np.nan)) for a in (x, x, w, w, w, w))
        kernels.batch_norm(xs, ws, bs, None, out, mean, var, eps=1e-5, training=True, relu=True)
        kernels.batch_norm_dx(gs, xs, None, ws, bs, mean, var, dx, dw, db, None, eps=1e-5, training=True, relu=True)
        found.append([_here(a) for a in (mean, var, out, dx, dw, db)])
    for there, here in zip(*found, strict=True):
        np.testing.assert_allclose(there, here, rtol=2e-3, atol=2e-3 * float(abs(here).max()))
    return {}


@check("a stream that does not wait for others", needed=False)
def _stream(rung: Any, rng: np.random.Generator) -> Row:
    import cupy

    a = cupy.ones(LONG, "float32")
    cupy.cuda.Device().synchronize()
    with cupy.cuda.Stream(non_blocking=True) as stream:
        out = rung.add(a, a + 1, cupy.empty_like(a)) * 2
    stream.synchronize()
    assert bool((out == 6).all()), "the kernel did not run on the current stream"
    return {}


@check("ResNet-20: three losses as on the CPU")
def _losses(rung: Any, rng: np.random.Generator) -> Row:
    there = resnet.ours(BATCH, device="cuda")
    found = [float(there()) for _ in range(3)]
    with tr.kernels("im2col"):
        here = resnet.ours(BATCH)
        expected = [float(here()) for _ in range(3)]
    np.testing.assert_allclose(found, expected, rtol=2e-3)
    return {"losses": found, "on the CPU": expected}


@check("what a step costs the host", needed=False)
def _host(rung: Any, rng: np.random.Generator) -> Row:
    import cupy

    a, clock = cupy.ones(4, "float32"), CudaClock()
    out = cupy.empty_like(a)
    calls: dict[str, Call] = {"our add": lambda: rung.add(a, a, out), "CuPy's add": lambda: cupy.add(a, a, out=out)}
    found: Row = {name: pace([call] * CALLS, clock).host for name, call in calls.items()}
    for batch in BATCHES:
        step = resnet.ours(batch, device="cuda")
        step()  # the first one makes what the optimiser keeps
        whole = pace([step] * 5, clock)
        found[f"ResNet-20, batch {batch}"] = {"host_s": whole.host, "device_s": whole.done}
    return {"seconds a call": found}


@check("PyTorch beside CuPy", needed=False)
def _torch(rung: Any, rng: np.random.Generator) -> Row:
    import cupy

    torch = peers.load_torch("cuda")
    if torch is None:
        raise RuntimeError("PyTorch with CUDA is not installed: nothing will be measured beside it")
    shared = torch.arange(6.0, device="cuda")
    assert cupy.from_dlpack(shared).data.ptr == shared.data_ptr(), "DLPack copied"
    image, weight = torch.ones(1, 3, 8, 8, device="cuda"), torch.ones(4, 3, 3, 3, device="cuda")
    assert torch.nn.functional.conv2d(image, weight).max().item() == 27, "cuDNN computes something else"
    return {"torch": torch.__version__, "cuDNN": torch.backends.cudnn.version()}
