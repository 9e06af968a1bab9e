"""Of `simulated.py`: convolutions with batch norm, in evaluation and in training."""

import sys
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import numpy as np
from tinyres_kernels.settings import Conv, Norm, Running

# What is broken: module, the sentence, what it is replaced by, and what must notice.
FAULTS = {
    "the ReLU before the shift": (
        "conv_tiled",
        "(sums[i, j + more] - centre[j + more]) * scale[j + more]",
        "max((sums[i, j + more] - centre[j + more]) * scale[j + more], real(0))",
        "with_norm",
    ),
    "the residual of another pixel": ("conv_tiled", "(residual, at + min", "(residual, min", "with_norm"),
    "the channel of another thread": (
        "conv_tiled",
        "j // 4 * B_FAR + j % 4, OG - 1",
        "j // 4 * B_FAR, OG - 1",
        "with_norm",
    ),
    "pixels beyond the last one": (
        "conv_tiled",
        "i // 4 * A_FAR + i % 4 < pixels:",
        "i // 4 * A_FAR + i % 4 < pixels + 3:",
        "with_statistics",
    ),
    "the first block merges": ("conv_tiled", "a_slab[0] < real(members - 1)", "a_slab[0] > real(0)", "with_statistics"),
    "the origin of another column": (
        "conv_tiled",
        "a_slab[k] + total / real(held)",
        "a_slab[0] + total / real(held)",
        "with_statistics",
    ),
    "a tile that is not full counted as one": (
        "conv_tiled",
        "min(ROWS, pixels - first_row)",
        "ROWS",
        "with_statistics",
    ),
    "a counter that is not put back": (
        "conv_tiled",
        "np.uint32(members - 1)))\n        ",
        "np.uint32(99)))\n        ",
        "with_statistics",
    ),
    "no barrier": ("conv_tiled", "cuda.syncthreads()", "pass", "with_statistics"),
    "lots of blocks counted as one": ("conv_measure", "min(apart * size,", "min(size,", "with_statistics"),
    "no spread among blocks": ("conv_measure", "+ off * off * real(own)", "", "with_statistics"),
    "a running variance that is biased": (
        "conv_measure",
        "share * unbiased",
        "share * spread",
        "with_statistics",
    ),
    "batches that nobody counts": (
        "conv_measure",
        "HAS_BATCHES and at == 0",
        "HAS_BATCHES and at == channels",
        "with_statistics",
    ),
    "winograd: a share of pixels about another origin": (
        "winograd_kernels",
        "+ real(2) * slab[2",
        "+ slab[2",
        "winograd_statistics",
    ),
    "winograd: a block that is not full counted as one": (
        "winograd_kernels",
        "min(TILES, tiles - first_tile) * 4",
        "TILES * 4",
        "winograd_statistics",
    ),
    "winograd: what was computed once more is not looked at": (
        "winograd_kernels",
        "value = load1(out,",
        "value = value or load1(out,",
        "winograd_statistics",
    ),
    "winograd: the first block merges": (
        "winograd_kernels",
        "slab[0] < real(members - 1)",
        "slab[0] > real(0)",
        "winograd_statistics",
    ),
}
CHECKS = [
    "a convolution and its batch norm",
    "a convolution and the statistics that batch norm needs",
    "Winograd's way and the statistics that batch norm needs",
]
NAMES = {"few": CHECKS, "faults": [f"notices {title}" for title in FAULTS]}


def with_norm(rung):
    """`conv2d_norm` is `conv2d` and then the equation of batch norm, in one launch or, where that is in parts, more."""
    faults, launches = [], set()
    cases = (  # images, channels, outputs, size, taps, groups, stride, whether there are a residual and a ReLU, type
        (1, 7, 5, 5, 1, 1, 1, True, True, "d"), (2, 8, 20, 3, 1, 1, 1, True, False, "f"),
        (1, 4, 6, 5, 1, 2, 2, False, True, "d"), (1, 1, 3, 5, 3, 1, 1, False, False, "f"),
        (1, 4, 4, 5, 3, 1, 2, True, True, "f"), (1, 2, 2, 4, 3, 1, 1, True, True, "f"),
        (0, 3, 3, 5, 3, 1, 1, True, True, "f"),
    )  # fmt: skip
    for N, C, O, H, K, groups, stride, adds, relu, dtype in cases:
        rng = np.random.default_rng(0)
        how = {"stride": (stride,) * 2, "padding": (K // 2,) * 2, "dilation": (1, 1), "groups": groups}
        x, w = (rng.standard_normal(shape).astype(dtype) for shape in ((N, H, H, C), (K, K, C // groups, O)))
        weight, bias, mean, variance = rng.uniform(0.5, 2, (4, O)).astype(dtype)
        plain = rung.conv2d(x, w, np.empty((N, (H - 1) // stride + 1, (H - 1) // stride + 1, O), dtype), **how)
        residual = rng.standard_normal(plain.shape).astype(dtype) if adds else None
        expected = (plain - mean) / np.sqrt(variance + 0.1) * weight + bias + (residual if adds else 0)
        expected = np.maximum(expected, 0) if relu else expected
        given = x, w, np.empty_like(plain), weight, bias, mean, variance, residual
        with (
            mock.patch.object(rung.conv, "launch", wraps=rung.conv.launch) as first,
            mock.patch.object(rung.norm, "launch", wraps=rung.norm.launch) as second,
        ):
            found = rung.conv2d_norm(*given, Conv(**how), Norm(0.1, training=False, relu=relu))
        launches.add((first.call_count, second.call_count))
        if found is not given[2] or not np.allclose(found, expected, atol={"d": 1e-13, "f": 1e-5}[dtype]):
            faults.append(f"{(N, C, O, H, K, groups, stride, adds, relu, dtype)}: off by {abs(found - expected).max()}")
    return faults if {(1, 0), (1, 1)} <= launches else [*faults, f"only {launches} launches"]


def compared(rung, x, w, shape, kept, how):
    """The faults of `conv2d_statistics` beside `conv2d` and `batch_norm`, and its launches: by tiles, by Winograd's
    way, and batch norm's."""
    faults, O, dtype = [], w.shape[3], x.dtype
    y = rung.conv2d(x, w, np.empty(shape, dtype), **how)
    pixels, line = y.reshape(-1, O), np.arange(O, dtype=dtype)
    old = [a if there else None for a, there in zip((line, line + 2, np.array([41])), kept, strict=True)]
    expected, needed = [None if a is None else np.empty_like(a) for a in old], np.empty((2, O), dtype)
    rung.batch_norm(
        pixels, line, line, None, np.empty_like(pixels), *needed, Running(*old, *expected),
        eps=0.1, training=True, relu=False, momentum=0.25,
    )  # fmt: skip
    new, found = [None if a is None else np.empty_like(a) for a in old], np.empty((2, O), dtype)
    with ExitStack() as patched:
        launched = [
            patched.enter_context(mock.patch.object(home, "launch", wraps=home.launch))
            for home in (rung.conv, rung.winograd, rung.norm)
        ]
        own = rung.conv2d_statistics(x, w, np.empty(shape, dtype), *found, Running(*old, *new), Conv(**how), 0.25)
    if own.tobytes() != y.tobytes():
        faults.append("another result than that of conv2d")
    close = {"d": {"rtol": 1e-12, "atol": 1e-13}, "f": {"rtol": 1e-5, "atol": 1e-6}}[dtype.char]
    names = "mean", "variance", "running mean", "running variance", "batches"
    for name, a, b in zip(names, (*found, *new), (*needed, *expected), strict=True):
        if (a is None) != (b is None) or (a is not None and not np.allclose(a, b, **close)):
            faults.append(f"{name} is {a}, needed {b}")
    return faults, tuple(each.call_count for each in launched)


def with_statistics(rung):
    """`conv2d_statistics` is `conv2d`, to the bit, and mean and variance of its channels; the running ones move as
    those of batch norm do; in one launch or, where the convolution is in parts, more."""
    faults, launches = [], set()
    cases = (  # images, channels, outputs, size, taps, groups, stride, running mean, variance and batches, type
        (2, 3, 20, 5, 1, 1, 1, (1, 1, 1), "d"), (2, 8, 20, 5, 1, 1, 1, (1, 1, 1), "f"),
        (1, 4, 6, 7, 1, 2, 1, (1, 0, 1), "d"), (1, 4, 8, 5, 1, 1, 2, (0, 1, 0), "f"),
        (1, 3, 3, 3, 1, 1, 1, (0, 0, 0), "d"), (1, 2, 2, 4, 3, 1, 1, (1, 1, 1), "f"),
        (1, 4, 4, 5, 3, 1, 2, (1, 1, 1), "f"),
    )  # fmt: skip
    for N, C, O, H, K, groups, stride, kept, dtype in cases:
        rng = np.random.default_rng(0)
        how = {"stride": (stride,) * 2, "padding": (K // 2,) * 2, "dilation": (1, 1), "groups": groups}
        x, w = (rng.standard_normal(shape).astype(dtype) for shape in ((N, H, H, C), (K, K, C // groups, O)))
        x[..., 0] += 3
        w[..., 1] *= 1e-3
        found, launched = compared(rung, x, w, (N, (H - 1) // stride + 1, (H - 1) // stride + 1, O), kept, how)
        launches.add(launched)
        faults += [f"{(N, C, O, H, K, groups, stride, kept, dtype)}: {fault}" for fault in found]
    return faults if {(1, 0, 0), (1, 0, 1)} <= launches else [*faults, f"only {launches} launches"]


def winograd_statistics(rung):
    """Four blocks of which half are not full; numbers that overflow on the way, and not in the end; and odd rows, for
    which the statistics have a launch of their own."""
    how, faults, launches = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}, [], []
    plan = rung.winograd.Plan(rung.winograd.Block(16, 16, 4, 8, 4), 0.0)
    for N, H, W, O, large in ((3, 4, 6, 18, False), (1, 4, 4, 4, True), (1, 3, 4, 4, False)):
        rng = np.random.default_rng(0)
        x, w = rng.standard_normal((N, H, W, 3)).astype("f"), rng.standard_normal((3, 3, 3, O)).astype("f")
        x[..., 0] += 3
        if large:
            x[0, 1:3, 1:3, 0], w = 3e38, 1e-38 * w
        with (
            mock.patch.object(rung.conv_norm, "choose", return_value=plan),
            mock.patch.object(rung.conv, "choose", return_value=plan),
            np.errstate(all="ignore"),
        ):
            found, launched = compared(rung, x, w, (N, H, W, O), (1, 1, 1), how)
        launches.append(launched)
        faults += [f"{(N, H, W, O, large)}: {fault}" for fault in found]
    return faults if launches == [(0, 2, 0), (0, 2, 0), (0, 2, 1)] else [*faults, f"{launches} launches"]


def notices(rung, module, old, new, by):
    """One sentence of a module changed, and all kernels made anew that are made of it."""
    home = sys.modules[f"tinyres_kernels.cuda.{module}"]
    text = Path(home.__file__).read_text()
    if old not in text:
        return [f"{old!r} is not in {module}: say how to break it now"]
    scope = {"__name__": home.__name__}
    exec(compile(text.replace(old, new), f"{module}, broken", "exec"), scope)
    made = rung.conv_tiled.gather_kernel, rung.winograd_kernels.winograd_kernel
    with ExitStack() as patched:
        for user in (rung.conv, rung.conv_tiled, rung.winograd, rung.winograd_kernels):
            names = ("gather_kernel", "winograd_kernel", "bring_together", "tell")
            broken = {name: scope[name] for name in names if name in scope and name in vars(user)}
            patched.enter_context(mock.patch.dict(vars(user), broken))
        for make in made:
            make.cache_clear()
        patched.callback(lambda: [make.cache_clear() for make in made])
        return [] if globals()[by](rung) else ["nobody noticed"]


def check(rung, tell):
    for name, find in zip(CHECKS, (with_norm, with_statistics, winograd_statistics), strict=True):
        tell(name, find, rung)
    for title, fault in FAULTS.items():
        tell(f"notices {title}", notices, rung, *fault)


def main(what):
    import simulated
    from numba.cuda.simulator import kernel
    from simulated_blocks import run
    from tinyres_kernels import cuda as rung

    with (
        mock.patch.object(kernel.FakeCUDAKernel, "__call__", run),
        mock.patch.object(np, "empty", simulated.unwritten(np.empty)),
    ):
        check(rung, simulated.asked(NAMES[what]))


if __name__ == "__main__":
    main(*sys.argv[1:])
