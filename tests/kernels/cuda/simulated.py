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
from tinyres_kernels.contract import OPERATIONS, kernel
from tinyres_kernels.dispatch import each
from tinyres_kernels.geometry import conv_axes
from tinyres_kernels.settings import Running

CONVOLUTIONS = ("conv2d", "conv2d_dx", "conv2d_dw")
SMALL, MOVED, LARGER = 110, 200, 250  # numbers in a case: a thread of the simulator costs a third of a millisecond
# Tiles that the simulator can afford; channels for them, enough for two of them; the largest case.
TILES = {
    "tiled": ((16, 16, 4, 4, 4), {"OG": 3, "CG": 3}, 400),  # loads one by one, and a tail
    "fours": ((16, 8, 4, 8, 4), {"OG": 12, "CG": 4, "hw": (4, 4), "kernel": (2, 2)}, 450),  # loads by fours
    "narrow": ((32, 4, 4, 4, 4), {"OG": 4, "CG": 8, "hw": (4, 4), "kernel": (2, 2)}, 300),  # slabs smaller than blocks
}
PARTS = 330, {"M": 21}  # the largest case of batch norm, and pixels for three parts


def cases(op, most, changes=None):
    """The named cases of an operation that are small enough; every other one in float64."""
    for i, (title, named) in enumerate(OPS[op].cases.items()):
        structure = {**OPS[op].family.plain, **(changes or {}), **named.changes}
        settings = {key: getattr(named, key) for key in ("put", "spoil", "refused", "readonly")}
        case = Case(OPS[op], title, structure, ("float32", "float64")[i % 2], **settings)
        by_fours = structure.get("OG", 4) % 4 == structure["CG"] % 4 == 0 if changes and "hw" in changes else True
        if case.elements <= most and by_fours:
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
            for title, case in cases(op, most, changes):
                yield f"{op} {route} {title}".replace("  ", " "), route, op, case


GEOMETRIES = {
    "plain": {"padding": (1, 1)},
    "stride 2": {"stride": (2, 2), "padding": (1, 1)},
    "stride 3, dilation 2": {"stride": (3, 3), "dilation": (2, 2), "padding": (2, 2)},
    "strides 1 and 2, dilations 2 and 1": {"stride": (1, 2), "dilation": (2, 1), "padding": (2, 0)},
    "two groups": {"groups": 2, "padding": (1, 0)},
    "windows apart": {"stride": (4, 4), "kernel": (2, 2)},
}
# Of each optimiser: its settings, and how many arrays a step reads beside parameter and gradient, and writes.
STEPS = {
    "sgd": ({"lr": 0.1, "momentum": 0.9, "dampening": 0.0, "weight_decay": 0.01, "nesterov": True}, 1),
    "adam": (
        {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.01, "decoupled": True, "step": 3},
        2,
    ),
    "rmsprop": ({"lr": 0.1, "alpha": 0.9, "eps": 1e-8, "weight_decay": 0.01, "momentum": 0.9}, 3),
}
# What is broken: module, the sentence, what it is replaced by, and the operation whose cases must notice.
FAULTS = {
    "tiled: the last column of a tile's tail": ("conv_tiled", "col + more < OG", "col + more < OG - 1", "conv2d"),
    "tiled: the last row of a tile's tail": ("conv_tiled", "if p < pixels:", "if p < pixels - 1:", "conv2d"),
    "tiled: one column too many": ("conv_tiled", "col + more < OG", "col + more <= OG", "conv2d"),
    "tiled: the slab's tail multiplied": ("conv_tiled", ", i * B_STEP < b_left)", ", True)", "conv2d"),
    "tiled: a carry forgotten": ("conv_tiled", "np.int32(0), np.int32(kh + 1)", "np.int32(0), np.int32(kh)", "conv2d"),
    "tiled: no end of an image's rows": ("conv_tiled", "np.uint32(left[i] + along) < width", "True", "conv2d"),
    "tiled: the buffer that is being written read": ("conv_tiled", "read * A_SLAB", "written * A_SLAB", "conv2d"),
    "tiled: a slab that has not come": ("conv_tiled", "wait()", "pass", "conv2d"),
    "tiled: every part begins at the first tap": ("conv_tiled", "begin - skipped * taps_w * CG", "0", "conv2d"),
    "tiled: the phase written one pixel off": ("conv_tiled", "start_w + (p", "(p", "conv2d_dx"),
    "tiled: every tap taken, not every so many-th": ("conv_tiled", "tap_w + kw * hop_w", "tap_w + kw", "conv2d_dx"),
    "tiled: a pixel past the part": ("conv_weights", "min(size, N * OH", "min(size + 1, N * OH", "conv2d_dw"),
    "tiled: weights of a slab that has not come": ("conv_weights", "wait_for_older_copies()", "pass", "conv2d_dw"),
    "tiled: images end one row late": ("conv_weights", "if top[i] == last_h:", "if top[i] > last_h:", "conv2d_dw"),
    "sums: the last part left out": ("sums", "range(ty, count, DOWN)", "range(ty, count - 1, DOWN)", "conv2d_dw"),
    "products: a line taken twice": ("products", "low) + k * a_pitch", "low) + k // 2 * a_pitch", "conv2d"),
    "naive: every part to the end": ("conv_naive", "min(part * size + size, N * OH)", "N * OH", "conv2d_dw"),
    "naive: the rim read from the other side": ("conv_naive", "0 <= v < W", "v < W", "conv2d"),
    "pool: a NaN loses": ("pool", "value != value and best == best", "False", "max_pool2d"),
    "norm: the last part as long as the others": ("norm", "min(size, M - i * size)", "size", "batch_norm"),
    "norm: every so many-th part left out": (
        "norm",
        "range(ty, parts, down)",
        "range(ty + 1, parts, down)",
        "batch_norm",
    ),
    "norm: one part too few": ("norm", "range(ty, parts, down)", "range(ty, parts - 1, down)", "batch_norm_dx"),
    "norm: the first one merges": ("norm", "ticket[0] < parts - 1", "ticket[0] > 0", "batch_norm"),
    "norm: a counter that is not put back": ("norm", "np.uint32(parts - 1)", "np.uint32(99)", "counters"),
    "weights: one part too few": ("conv_weights", "= k + 1 < members", "= k + 2 < members", "conv2d_dw"),
    "weights: a fan merged before it is full": ("conv_weights", "a_slab[0] < real(members - 1)", "False", "conv2d_dw"),
    "weights: fans that count together": ("conv_weights", "place += left", "place += 0", "conv2d_dw"),
    "weights: a counter that is not put back": ("conv_weights", "np.uint32(members - 1)", "np.uint32(99)", "counters"),
    "norm: a running variance that is biased": ("norm", "share_var * total", "share * total", "batch_norm"),
    "norm: batches that nobody counts": ("norm", "has_batches and c == 0", "has_batches and c == C", "batch_norm"),
    "norm: threads beyond the last pixel": ("norm", "end = min(begin + size, M)", "end = begin + size", "batch_norm"),
    "loss: the maximum of a part of the row": ("loss", "half = across // 2", "half = across // 4", "cross_entropy"),
    "update: a thread too far along its line": (
        "update",
        "(cuda.blockIdx.x - start)",
        "cuda.blockIdx.x",
        "sgd of many",
    ),
    "update: the average kept in place of its share": ("update", "keep1 * m + mean", "keep1 * m - mean", "adam"),
    "tiled: no barrier": ("conv_tiled", "cuda.syncthreads()", "pass", "conv2d"),
    "tiled: no barrier among the weights": ("conv_weights", "cuda.syncthreads()", "pass", "conv2d_dw"),
    "sums: no barrier": ("sums", "cuda.syncthreads()", "pass", "conv2d_dw"),
    "norm: no barrier": ("norm", "cuda.syncthreads()", "pass", "batch_norm"),
    "loss: no barrier": ("loss", "cuda.syncthreads()", "pass", "cross_entropy"),
    "loss: the maximum's place used while it is read": (
        "loss",
        "cuda.syncthreads()  # all have read the maximum",
        "pass  # all have read the maximum",
        "cross_entropy",
    ),
    "norm: the mean's place used while it is read": (
        "norm",
        "cuda.syncthreads()  # all have read it",
        "pass  # all have read it",
        "batch_norm",
    ),
    "loss: a barrier that one thread passes by": (
        "loss",
        "cuda.syncthreads()",
        "cuda.threadIdx.x == 0 or cuda.syncthreads()",
        "cross_entropy",
    ),
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


def moved(kernel):
    """The kernel, on arrays that begin one number past a multiple of 16 bytes: where none can be loaded by fours."""

    def body(*arguments):
        there = []

        def put(array):
            part, memory = one_on(array)
            there.append((array, memory))
            return part

        kernel(*each(arguments, put))
        for array, memory in there:
            if array.flags.writeable:
                whole_of(array)[...] = memory

    return body


def whole_of(array):
    """The memory that an array between guards is a part of; the array itself where it is a whole one."""
    return array if array.base is None else array.base


def one_on(array):
    """The array one number past a multiple of 16 bytes, and a copy of the whole memory that it is a part of there."""
    whole = whole_of(array)
    before = (array.ctypes.data - whole.ctypes.data) // array.itemsize
    room = np.empty(whole.size + 16, array.dtype)
    ahead = (1 - before - room.ctypes.data // array.itemsize) % (16 // array.itemsize)
    memory = room[ahead : ahead + whole.size]
    memory[...] = whole.reshape(-1)
    part = memory[before : before + array.size].reshape(array.shape)
    part.flags.writeable = array.flags.writeable
    assert part.ctypes.data % 16 == array.itemsize or not array.size
    return part, memory.reshape(whole.shape)


def aligned(fours):
    """`load4` or `store4`, which fails as the GPU does where the first number is not at a multiple of 16 bytes."""

    def call(array, i, *numbers):
        if (array.ctypes.data + int(i) * array.itemsize) % 16:
            raise ValueError(f"MISALIGNED: four numbers from index {i} of an array at {array.ctypes.data:#x}")
        return fours(array, i, *numbers)

    return call


def unwritten(empty):
    """Room that holds NaN, or a large number: nothing that was right once."""

    def call(*given, **how):
        made = empty(*given, **how)
        made.fill(np.nan if made.dtype.kind == "f" else -77 if made.dtype.kind == "i" else 77)
        return made

    return call


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


def same_bits(rung):
    rng = np.random.default_rng(0)
    x, g = (rng.standard_normal((2, 5, 5, 4)).astype("float32") for _ in range(2))
    how = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    first, second = (rung.conv2d_dw(x, g, np.empty((3, 3, 4, 4), "float32"), **how) for _ in range(2))
    return [] if first.tobytes() == second.tobytes() else ["two runs gave different bits"]


def counters_back(rung):
    """The next launch finds them as this one did."""
    rng = np.random.default_rng(0)
    x, one = rng.standard_normal((40, 9)), np.ones(9)
    rung.batch_norm(x, one, one, None, np.empty_like(x), *np.empty((2, 9)), eps=0.1, training=True, relu=True)
    given = x, x, None, one, one, x.mean(axis=0), x.var(axis=0), np.empty_like(x), *np.empty((2, 9)), None
    rung.batch_norm_dx(*given, eps=0.1, training=True, relu=True)
    x, how = rng.standard_normal((2, 5, 5, 4)), {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    rung.conv2d_dw(x, x, np.empty((3, 3, 4, 4)), **how)
    kept = sys.modules["tinyres_kernels.cuda.counters"]._kept
    left = [int(line.max()) for line in kept.values()]
    kept.clear()
    return [] if left == [0] else [f"the largest of the counters are {left}"]


def apart(rung):
    """As `conv_plan` wants it where merging would take long."""
    faults, plan = [], rung.conv_plan
    with (
        mock.patch.object(rung.conv, "merging", return_value=plan.Merging(False, 0.0)),
        mock.patch.object(rung.conv, "add_parts", wraps=rung.conv.add_parts) as added,
    ):
        for route, (_, changes, most) in TILES.items():
            for title, case in cases("conv2d_dw", most, changes):
                faults += [f"{title}: {fault}" for fault in examine(route_to(rung, route, "conv2d_dw"), case).faults]
    return faults if added.call_count else ["there were no parts"]


def far_mean(rung):
    x = (1e4 + np.random.default_rng(0).standard_normal((50, 3))).astype("float32")
    mean, variance, one = np.empty(3, "f"), np.empty(3, "f"), np.ones(3, "f")
    rung.batch_norm(x, one, one, None, np.empty_like(x), mean, variance, eps=1e-5, training=True, relu=False)
    off = abs(variance / x.astype("float64").var(axis=0) - 1).max()
    return [] if off < 1e-3 else [f"the variance is off by {off:.1e}"]  # E[x^2] - E[x]^2 is off by 8


def each_alone(rung):
    """Each running statistic moves as it does beside the others."""
    x, one = np.random.default_rng(0).standard_normal((21, 3)), np.ones(3)
    how = {"eps": 1e-5, "training": True, "relu": False, "momentum": 0.25}

    def moved(*kept):
        old = [a if there else None for a, there in zip((2 * one, 3 * one, np.array([41])), kept, strict=True)]
        new = [None if a is None else np.full_like(a, -77) for a in old]
        rung.batch_norm(x, one, one, None, np.empty_like(x), np.empty(3), np.empty(3), Running(*old, *new), **how)
        return [None if a is None else a.tolist() for a in new]

    together, names = moved(1, 1, 1), ("mean", "variance", "batches")
    alone = [moved(*(i == k for k in range(3)))[i] for i in range(3)]
    return [f"{names[i]}: {alone[i]}, beside others {together[i]}" for i in range(3) if alone[i] != together[i]]


def first_nan(rung):
    x, index = np.full((1, 2, 2, 1), np.nan), np.empty((1, 1, 1, 1), "int32")
    x[0, 0, 0, 0] = 1.0
    how = {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0), "dilation": (1, 1)}
    rung.max_pool2d(x, np.empty((1, 1, 1, 1)), index, **how)
    return [] if index.item() == 1 else [f"tap {index.item()} won, needed tap 1"]


def of_many(rung, op, real):
    """Parameters of odd sizes, one of them empty, one transposed with a gradient that is not, one with one that is, one
    without a state: the bits of one by one, in as many launches as there are kinds and full tables."""
    settings, kept = STEPS[op]
    rng = np.random.default_rng(0)

    def drawn(shape):
        return 1 + rng.random(shape).astype(real)

    steps = []
    for i, shape in enumerate([(3,), (0,), (17,), (8, 5), (1,), (33,), (5, 7)]):
        p, g, *state = (drawn(shape) for _ in range(2 + kept))
        if i == 3:
            p, state = p.T, [a.T for a in state]
            g = np.ascontiguousarray(g.T)
        if i == 6:
            p, g, *state = (a.T for a in (p, g, *state))
        steps.append((p, g, *([None] * kept if i == 2 else state)))
    name = f"{op.upper()}_ROWS"
    results, counted = [], []
    with (
        mock.patch.object(rung.update, name, 2),
        mock.patch.object(rung.steps, "launch", wraps=rung.host.launch) as launch,
    ):
        for together in (False, True):
            rows = [(*step, *(np.full_like(step[0], np.nan) for _ in range(1 + kept))) for step in steps]
            before = launch.call_count
            if together:
                rung.MANY[op].launch(rows, OPERATIONS[op].settings(**settings))
            else:
                for row in rows:
                    getattr(rung, op)(*row, **settings)
            counted.append(launch.call_count - before)
            results.append([a.tobytes() for row in rows for a in row[2 + kept :]])
    faults = [] if results[0] == results[1] else ["other bits than one by one"]
    return faults if counted == [6, 4] else [*faults, f"{counted} launches, needed [6, 4]"]


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
