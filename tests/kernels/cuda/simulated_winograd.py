"""Run as a program, with NUMBA_ENABLE_CUDASIM=1: Winograd's convolution on the CPU; a line of JSON for each check."""

import sys
import warnings
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
from tinyres_kernels import im2col
from tinyres_kernels.conformance.declare import Case
from tinyres_kernels.conformance.examine import examine
from tinyres_kernels.conformance.ops import OPS
from tinyres_kernels.contract import OPERATIONS

PASSES = ("conv2d", "conv2d_dx")
# tiles, columns, slabs' depth, rows and columns of a thread: the second has threads that bring no pixels, and slabs of
# which a fold reaches from one of a thread's fours to the other
BLOCKS = {"every thread brings pixels": (16, 16, 4, 8, 4), "half of them do": (16, 16, 2, 8, 4)}
OWN = {  # beyond the named cases: images, pixels, channels, columns, padding
    "several blocks of tiles and of columns": (2, (7, 6), 5, 18, (1, 1)),
    "one result": (1, (3, 3), 3, 3, (0, 0)),
    "padding wider than the kernel": (1, (4, 3), 3, 4, (3, 4)),
    "rows and columns that differ": (1, (2, 9), 4, 3, (1, 0)),
}
HOW = {"stride": (1, 1), "dilation": (1, 1), "groups": 1}
FAULTS = {
    "the last row of a result of odd size": ("h + i < OH", "h + i < OH - 1"),
    "one column too many": ("t < tiles and col < O:", "t < tiles and col <= O:"),
    "a tile too many": ("if t < tiles and col", "if t <= tiles and col"),
    "channels past the last one": ("here if c < C else np.int32(0)", "here"),
    "pixels outside of the image": ("0 <= left + j < W", "left + j < W"),
    "fours where they were before they were exchanged": ("(tile ^ k * FOLD % TILES)", "tile"),
    "a place's second sum in the first one's place": ("from_a + GRIP", "from_a"),
    "half of a weight": ("half * (a + d) + half * b, half", "half * (a + d) + b, half"),
    "the last of the tiles that come together": ("i = done + row % TOGETHER", "i = row % TOGETHER"),
    "weights that have not arrived": ("            wait_for_copies()\n", ""),
    "no barrier": ("cuda.syncthreads()", "pass"),
    "NaN that spreads in a tile": ("if lost:", "if False:"),
    "the direct way one tap short": ("min(3, W + padding_w - j)", "min(2, W + padding_w - j)"),
}
CHECKS = [
    *(f"{op} {block}, {title}" for op in PASSES for block in BLOCKS for title in ("the named cases", *OWN)),
    *(f"{op}, {bad} stays with the windows that read it" for op in PASSES for bad in ("nan", "inf", "3e38")),
    "errors are about the direct way's",
    "whoever checks kernels is told that errors are bounded by norm",
]
FEW = [f"{op} {block}, the named cases" for op, block in zip(PASSES, BLOCKS, strict=True)]
NAMES = {
    "few": FEW,
    "more": [name for name in CHECKS if name not in FEW],
    "faults": [f"notices {title}" for title in FAULTS],
}


def cases(op, most=200):
    """The named cases of an operation that this way can compute."""
    for title, named in OPS[op].cases.items():
        structure = {**OPS[op].family.plain, **named.changes}
        case = Case(OPS[op], title, structure, "float32", 0, named.put, named.spoil, named.refused, named.readonly)
        can = (structure["kernel"], case.keywords) == ((3, 3), {**HOW, "padding": structure["padding"]})
        if can and case.elements <= most:
            yield case


def own_case(op, title):
    N, hw, C, O, padding = OWN[title]
    structure = {**OPS[op].family.plain, "N": N, "hw": hw, "CG": C, "OG": O, "padding": padding}
    return Case(OPS[op], title, structure, "float32")


@contextmanager
def sent(rung, block):
    """Inside, whatever can be goes Winograd's way, and is counted."""
    from tinyres_kernels.cuda import conv, winograd

    run, block, seen = winograd.run, winograd.Block(*block), []

    def noted(*given):
        seen.append(1)
        run(*given)

    with ExitStack() as patched:
        patched.enter_context(mock.patch.object(conv, "LEAST", 0))
        patched.enter_context(mock.patch.object(conv, "choose", return_value=winograd.Plan(block, 0.0)))
        patched.enter_context(mock.patch.object(winograd, "run", noted))
        yield seen


def conforms(rung, op, block, examined):
    with sent(rung, block) as seen:
        found = [f"{case.title}: {fault}" for case in examined for fault in examine(getattr(rung, op), case).faults]
    return found if seen else ["nothing went this way"]


def arrays(op, sizes=(1, 6, 5, 3, 4), seed=0):
    """The two that are read and one that is written; padding 1."""
    N, H, W, C, O = sizes
    draw = np.random.default_rng(seed).standard_normal
    x, w, g = (draw(shape).astype("f") for shape in ((N, H, W, C), (3, 3, C, O), (N, H, W, O)))
    return (x, w, np.empty_like(g)) if op == "conv2d" else (g, w, np.empty_like(x))


def stays(rung, op, bad):
    """A pixel that is not finite, or whose sums are not: results that do not read it are those of a clean image."""
    a, w, out = arrays(op)
    clean = getattr(im2col, op)(a.astype("d"), w.astype("d"), np.empty(out.shape), padding=(1, 1), **HOW)
    a[0, 2, 3, 1] = bad
    with sent(rung, BLOCKS["half of them do"]), np.errstate(all="ignore"):
        getattr(rung, op)(a, w, out, padding=(1, 1), **HOW)
        expected = getattr(im2col, op)(a, w, np.empty_like(out), padding=(1, 1), **HOW)
    reads = np.zeros(out.shape, bool)
    reads[:, 1:4, 2:5] = True
    kinds = [np.isnan(out) != np.isnan(expected), np.isinf(out) != np.isinf(expected)]
    faults = [f"{int(wrong.sum())} are of another kind" for wrong in kinds if wrong[reads].any()]
    off = abs(out - clean)[~reads]
    return faults if bad == 3e38 or (off <= 1e-5).all() else [*faults, f"{(~(off <= 1e-5)).sum()} that do not read it"]


def errors(rung):
    faults = []
    for op in PASSES:
        a, w, out = arrays(op, (1, 8, 8, 64, 16) if op == "conv2d" else (1, 8, 8, 16, 64))
        expected = getattr(im2col, op)(a.astype("d"), w.astype("d"), np.empty(out.shape), padding=(1, 1), **HOW)
        with sent(rung, BLOCKS["every thread brings pixels"]):
            own = np.linalg.norm(getattr(rung, op)(a, w, np.empty_like(out), padding=(1, 1), **HOW) - expected)
        direct = np.linalg.norm(getattr(rung, op)(a, w, np.empty_like(out), padding=(1, 1), **HOW) - expected)
        print(f"{op}: error by norm {own:.2e}, the direct way's {direct:.2e}", file=sys.stderr)
        if not 0 < own <= 1.1 * direct:
            faults.append(f"{op}: {own:.2e}, and the direct way's is {direct:.2e}")
    return faults


def excused(rung):
    """Beside a large pixel, small results are right by norm alone: no fault of a kernel that says how it goes."""
    from tinyres_kernels.checked import KernelDisagreement, checked

    a, w, out = arrays("conv2d", (1, 4, 4, 3, 4))
    a[...] *= 1e-6
    w[0, :2], w[1], a[0, 1, 2] = 0.0, 0.0, 1e3  # of this tile, result (2, 3) does not read it
    silent = SimpleNamespace(**{name: getattr(rung, name) for name in OPERATIONS}, __name__="it")
    kinds = []
    with sent(rung, BLOCKS["half of them do"]):
        for kernels in (rung, silent):
            try:
                checked(kernels).conv2d(a, w, out, padding=(1, 1), **HOW)
                kinds.append("excused")
            except KernelDisagreement:
                kinds.append("found at fault")
    return [] if kinds == ["excused", "found at fault"] else [f"it was {kinds}"]


def notices(rung, old, new):
    from tinyres_kernels.cuda import winograd, winograd_kernels

    text = Path(winograd_kernels.__file__).read_text()
    if old not in text:
        return [f"{old!r} is not in winograd_kernels: say how to break it now"]
    scope = {"__name__": winograd_kernels.__name__}
    exec(compile(text.replace(old, new), "winograd_kernels, broken", "exec"), scope)
    broken = {name: scope[name] for name in ("winograd_kernel", "winograd_weights_kernel")}
    with mock.patch.dict(vars(winograd), broken):
        for op in PASSES:
            for block in BLOCKS.values():
                for case in [*(own_case(op, title) for title in OWN), *(case for case in cases(op) if case.put)]:
                    if conforms(rung, op, block, [case]):
                        return []
    return ["nobody noticed"]


def check(rung, tell):
    for op in PASSES:
        for name, block in BLOCKS.items():
            tell(f"{op} {name}, the named cases", conforms, rung, op, block, cases(op))
            for title in OWN:
                tell(f"{op} {name}, {title}", conforms, rung, op, block, [own_case(op, title)])
        for bad in ("nan", "inf", "3e38"):
            tell(f"{op}, {bad} stays with the windows that read it", stays, rung, op, float(bad))
    tell("errors are about the direct way's", errors, rung)
    tell("whoever checks kernels is told that errors are bounded by norm", excused, rung)
    for title, (old, new) in FAULTS.items():
        tell(f"notices {title}", notices, rung, old, new)


def main(what):
    warnings.simplefilter("ignore", RuntimeWarning)  # in threads that errstate does not reach
    import simulated
    from numba.cuda.simulator import kernel
    from simulated_blocks import Block
    from tinyres_kernels import cuda as rung
    from tinyres_kernels.cuda.host import SIMULATED

    assert SIMULATED
    with mock.patch.object(kernel, "BlockManager", Block):
        check(rung, simulated.asked(NAMES[what]))


if __name__ == "__main__":
    main(*sys.argv[1:])
