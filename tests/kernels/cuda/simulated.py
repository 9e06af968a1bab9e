"""Run as a program, with NUMBA_ENABLE_CUDASIM=1: checks of the CUDA kernels, on the CPU; a line of JSON each.

Its argument says which: a few checks, the others, or whether they notice the faults that are planted.

The variable must be set before Numba is imported, hence a process of its own. Names of the checks are found without it.
"""

import json
import sys
import warnings
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path
from unittest import mock

import numpy as np
from tinyres_kernels.conformance.declare import Case
from tinyres_kernels.conformance.examine import examine
from tinyres_kernels.conformance.ops import OPS
from tinyres_kernels.contract import kernel
from tinyres_kernels.geometry import conv_axes

from tests.kernels.cuda.simulated_arrays import aligned, moved, unwritten
from tests.kernels.cuda.simulated_faults import FAULTS
from tests.kernels.cuda.simulated_singles import (
    STEPS,
    counters_back,
    each_alone,
    far_mean,
    first_nan,
    of_many,
    same_bits,
)

CONVOLUTIONS = ("conv2d", "conv2d_dx", "conv2d_dw")
SETTINGS = ("put", "spoil", "refused", "readonly", "shift", "lies", "over", "again")  # of a named case
SMALL, MOVED, LARGER = 110, 200, 250  # numbers in a case: a thread of the simulator costs a third of a millisecond
# Tiles that the simulator can afford; channels for them, enough for two of them; the largest case.
TILES = {
    "tiled": ((16, 16, 4, 4, 4), {"OG": 3, "CG": 3}, 400),  # loads one by one, and a tail
    "fours": ((16, 8, 4, 8, 4), {"OG": 12, "CG": 4, "hw": (4, 4), "kernel": (2, 2)}, 450),  # loads by fours
    "narrow": ((32, 4, 4, 4, 4), {"OG": 4, "CG": 8, "hw": (4, 4), "kernel": (2, 2)}, 300),  # slabs smaller than blocks
}
PARTS = 330, {"M": 21}  # the largest case of batch norm, and pixels for three parts


def cases(op, most, changes=None, views=True):
    """The named cases of an operation that are small enough; every other one in float64."""
    for i, (title, named) in enumerate(OPS[op].cases.items()):
        structure = {**OPS[op].family.plain, **(changes or {}), **named.changes}
        settings = {key: getattr(named, key) for key in SETTINGS}
        case = Case(OPS[op], title, structure, ("float32", "float64")[i % 2], **settings)
        by_fours = structure.get("OG", 4) % 4 == structure["CG"] % 4 == 0 if changes and "hw" in changes else True
        by_fours &= named.lies != "reversed" or not changes  # one begins at a last number, which is loaded alone
        if case.elements <= most and by_fours and (views or not (named.lies or named.over)):
            yield title, case


def conformance_checks():
    """(name, route, operation, case): the route is the rung's own choice, or one of the ways to convolve."""
    for op in OPS:
        if op == "matmul":
            continue  # the array library's
        routes = {"": (SMALL, {})}
        if op in CONVOLUTIONS:
            routes = {"naive": (SMALL, {}), **{name: (most, changes) for name, (_, changes, most) in TILES.items()}}
        if op.startswith("batch_norm"):
            routes["parts"] = PARTS
        routes["moved"] = (MOVED, TILES["fours"][1]) if op in CONVOLUTIONS else (SMALL, {})
        for route, (most, changes) in routes.items():
            for title, case in cases(op, most, changes, views=route != "moved"):  # where arrays lie is that route
                yield f"{op} {route} {title}".replace("  ", " "), route, op, case


GEOMETRIES = {
    "plain": {"padding": (1, 1)},
    "stride 2": {"stride": (2, 2), "padding": (1, 1)},
    "stride 3, dilation 2": {"stride": (3, 3), "dilation": (2, 2), "padding": (2, 2)},
    "strides 1 and 2, dilations 2 and 1": {"stride": (1, 2), "dilation": (2, 1), "padding": (2, 0)},
    "two groups": {"groups": 2, "padding": (1, 0)},
    "windows apart": {"stride": (4, 4), "kernel": (2, 2)},
}
CHECKS = [
    *(name for name, *_ in conformance_checks()),
    *(f"adjoints of {way}, {title}" for way in ("naive", "tiled") for title in GEOMETRIES),
    "the same bits twice, whatever the block",
    "a rounded mean does not show in the variance",
    "each running statistic by itself",
    "counters are back at 0",
    "parts added up in a launch of their own",
    "of several NaNs the first wins",
    *(f"{op} of many in one launch, in {real}" for op in STEPS for real in ("float32", "float64")),
    "two buffers where there is no room for three",
]
FIRST = {(route, op): name for name, route, op, _ in reversed(list(conformance_checks()))}  # of each way's cases
RIMS = ("an image smaller than its padding", "dilation 2, padding 2", "groups 2")  # which are no plain convolution
FEW = {*FIRST.values(), *(name for name in CHECKS if name.startswith("conv2d") and name.endswith(RIMS))}
FEW |= {"counters are back at 0", "of several NaNs the first wins", "each running statistic by itself"}
NAMES = {
    "few": [name for name in CHECKS if name in FEW],
    "more": [name for name in CHECKS if name not in FEW],
    "faults": [f"notices {title}" for title in FAULTS],
}


def route_to(rung, route, op):
    """The kernel of `op`, sent one way."""
    whole = getattr(rung, op)
    if route == "moved":
        return moved(whole)
    if route in TILES:
        return kernel(op, partial(getattr(rung.conv, op), tile=rung.conv.Tile(*TILES[route][0])))
    if route == "naive":

        def naive(*arrays, **how):
            with mock.patch.object(rung.conv, "LEAST", 1 << 30):
                return whole(*arrays, **how)

        return naive
    return whole


def adjoint(rung, way, changes):
    """<g, conv2d(x, w)>, <conv2d_dx(g, w), x> and <conv2d_dw(x, g), w>, all by our own kernels, are one number."""
    structure = {**OPS["conv2d"].family.plain, "hw": (7, 6), "CG": 3, "OG": 3, **changes}
    shapes, how = OPS["conv2d"].family.shapes(structure)
    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal(tuple(shape.values())) for name, shape in shapes.items()}
    x, w, g = arrays["x"], arrays["w"], arrays["y"]
    conv_axes(x.shape, w.shape, g.shape, **how)
    y, dx, dw = (
        route_to(rung, way, op)(*args, np.full(like.shape, np.nan), **how)
        for op, args, like in [("conv2d", (x, w), g), ("conv2d_dx", (g, w), x), ("conv2d_dw", (x, g), w)]
    )
    found = [float(np.vdot(a, b)) for a, b in [(g, y), (dx, x), (dw, w)]]
    slack = 1e-13 * float(np.vdot(abs(g), route_to(rung, way, "conv2d")(abs(x), abs(w), np.empty_like(g), **how)))
    return [f"{a} is not {b}" for a, b in pairwise(found) if not abs(a - b) <= slack]


def apart(rung):
    """As `conv_plan` wants it where merging would take long."""
    faults, plan = [], rung.conv_plan
    with (
        mock.patch.object(rung.conv, "merging", return_value=plan.Merging(False, 0.0)),
        mock.patch.object(rung.conv, "add_parts", wraps=rung.conv.add_parts) as added,
    ):
        for route, (_, changes, most) in TILES.items():
            for title, case in list(cases("conv2d_dw", most, changes))[::4]:
                faults += [f"{title}: {fault}" for fault in examine(route_to(rung, route, "conv2d_dw"), case).faults]
    return faults if added.call_count else ["there were no parts"]


def two_buffers(rung):
    """As large tiles have them, which the simulator cannot afford."""
    tile, faults = rung.conv.Tile(*TILES["fours"][0]), []
    with mock.patch.object(rung.conv_tile, "ROOM", 1000):
        rung.conv_tiled.gather_kernel.cache_clear()
        if rung.conv_tile.ahead(np.float32, tile) != 1:
            faults.append("there is room for three")
        for op in ("conv2d", "conv2d_dx"):
            for title, case in cases(op, 300, TILES["fours"][1]):
                faults += [f"{op} {title}: {fault}" for fault in examine(route_to(rung, "fours", op), case).faults]
    rung.conv_tiled.gather_kernel.cache_clear()
    return faults


def notices(rung, module, old, new, op):
    """The kernels of one module, one sentence of them changed: does conformance see it in a case?"""
    home = sys.modules[f"tinyres_kernels.cuda.{module}"]
    text = Path(home.__file__).read_text()
    if old not in text:
        return [f"{old!r} is not in {module}: say how to break it now"]
    scope = {"__name__": home.__name__}
    exec(compile(text.replace(old, new), f"{module}, broken", "exec"), scope)
    broken = {name: value for name, value in scope.items() if name.endswith(("_kernel", "_naive", "products"))}
    users = [home, rung.conv, rung.conv_tiled, rung.conv_naive] if op.startswith("conv2d") else [home]
    if module == "products":  # of which the kernels are made: those that are known are made of the right ones
        rung.conv_tiled.gather_kernel.cache_clear()
    routes = {"naive": (SMALL, {})} if op in CONVOLUTIONS else {"": (LARGER, {})}
    if op.startswith("batch_norm"):
        routes["parts"] = PARTS
    if op in CONVOLUTIONS and module not in ("conv_naive", "sums"):
        routes = {name: (most, changes) for name, (_, changes, most) in TILES.items()}
    with ExitStack() as patched:
        for user in users:
            patched.enter_context(mock.patch.dict(vars(user), {k: v for k, v in broken.items() if k in vars(user)}))
        if op == "counters":
            return [] if counters_back(rung) else ["nobody noticed"]
        if op.endswith(" of many"):
            return [] if of_many(rung, op.split()[0], "float64") else ["nobody noticed"]
        for route, (most, changes) in routes.items():
            kernel = route_to(rung, route, op)
            if any(not examine(kernel, case).ok for _, case in cases(op, most, changes)):
                return []
    return ["nobody noticed"]


def main(what):
    warnings.simplefilter("ignore", RuntimeWarning)  # of 0 / 0, in threads that errstate does not reach
    from numba.cuda.simulator import kernel
    from simulated_blocks import run
    from tinyres_kernels import cuda as rung
    from tinyres_kernels.cuda.host import SIMULATED

    assert SIMULATED

    with ExitStack() as patched:
        patched.enter_context(mock.patch.object(kernel.FakeCUDAKernel, "__call__", run))
        patched.enter_context(mock.patch.object(np, "empty", unwritten(np.empty)))
        for name in ("load4", "store4"):
            checked = aligned(getattr(sys.modules["tinyres_kernels.cuda.words"], name))
            for home in [m for key, m in sys.modules.items() if key.startswith("tinyres_kernels.cuda")]:
                if hasattr(home, name):
                    patched.enter_context(mock.patch.object(home, name, checked))
        check(rung, asked(NAMES[what]))


def asked(titles):
    """What prints the faults that a check finds, if it is one of these."""

    def tell(name, find, *given):
        if name in titles:
            print(json.dumps([name, find(*given)]), flush=True)

    return tell


def check(rung, tell):
    for name, *given in conformance_checks():
        tell(name, conforms, rung, *given)
    for way in ("naive", "tiled"):
        for title, changes in GEOMETRIES.items():
            tell(f"adjoints of {way}, {title}", adjoint, rung, way, changes)
    tell("the same bits twice, whatever the block", same_bits, rung)
    tell("a rounded mean does not show in the variance", far_mean, rung)
    tell("each running statistic by itself", each_alone, rung)
    tell("counters are back at 0", counters_back, rung)
    tell("parts added up in a launch of their own", apart, rung)
    tell("of several NaNs the first wins", first_nan, rung)
    for op in STEPS:
        for real in ("float32", "float64"):
            tell(f"{op} of many in one launch, in {real}", of_many, rung, op, real)
    tell("two buffers where there is no room for three", two_buffers, rung)
    for title, fault in FAULTS.items():
        tell(f"notices {title}", notices, rung, *fault)


def conforms(rung, route, op, case):
    return examine(route_to(rung, route, op), case).faults


if __name__ == "__main__":
    main(*sys.argv[1:])
