"""Convolutions and pools, declared: what is drawn, and the corners that are always visited."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinyres_kernels.conformance.declare import Arg, Family, Named, Op, Put, Shape, Structure, exact
from tinyres_kernels.geometry import conv_out

LONGEST = 35  # beyond one tile of 32


@st.composite
def _axis(draw: st.DrawFn, long: bool, padded: bool) -> tuple[int, ...]:
    """One axis: size, kernel, stride, padding, dilation. A `padded` one never has a window of padding alone."""
    kernel, dilation = draw(st.integers(1, 4)), draw(st.integers(1, 2))
    stride, padding = draw(st.integers(1, 3)), draw(st.integers(0, kernel // 2 if padded else 4))
    span = (kernel - 1) * dilation + 1
    least = span if padded else max(1, span - 2 * padding)
    return draw(st.integers(least, LONGEST if long else least + 4)), kernel, stride, padding, dilation


@st.composite
def _images(draw: st.DrawFn, padded: bool, *channels: str) -> Structure:
    """Two axes, a batch and some numbers of channels, one of them all long: tiles end in more than one place."""
    long = draw(st.sampled_from(["", "height", "width", *channels]))
    axes = draw(_axis(long == "height", padded)), draw(_axis(long == "width", padded))
    names = ("hw", "kernel", "stride", "padding", "dilation")
    made: Structure = dict(zip(names, zip(*axes, strict=True), strict=True))
    made["N"] = draw(st.integers(0, 3))
    return made | {name: draw(st.integers(1, LONGEST if long == name else 3)) for name in channels}


def _windows(s: Structure) -> tuple[int, ...]:
    axes = zip(s["hw"], s["kernel"], s["stride"], s["padding"], s["dilation"], strict=True)
    return tuple(conv_out(*numbers) for numbers in axes)


TRAITS = {
    "an empty batch": lambda s: s["N"] == 0,
    "several images": lambda s: s["N"] > 1,
    "padding > 0": lambda s: any(s["padding"]),
    "stride > 1": lambda s: max(s["stride"]) > 1,
    "dilation > 1 (and a kernel with several taps)": lambda s: any(
        d > 1 and k > 1 for d, k in zip(s["dilation"], s["kernel"], strict=True)
    ),
    "a kernel with several taps": lambda s: max(s["kernel"]) > 1,
    "unequal height and width of the kernel": lambda s: s["kernel"][0] != s["kernel"][1],
    "unequal strides": lambda s: s["stride"][0] != s["stride"][1],
    "unequal paddings": lambda s: s["padding"][0] != s["padding"][1],
    "unequal height and width of the image": lambda s: s["hw"][0] != s["hw"][1],
}

# What convolutions and pools share. {} is the plain structure of the family.
CORNERS = {
    "plain": Named(),
    "read-only inputs": Named(readonly=True),
    "one pixel": Named({"hw": (1, 1), "kernel": (1, 1)}),
    "1x1 kernel": Named({"kernel": (1, 1)}),
    "1x1 kernel, stride 2": Named({"kernel": (1, 1), "stride": (2, 2)}),
    "even kernel": Named({"kernel": (2, 2)}),
    "asymmetric kernel": Named({"kernel": (2, 3), "hw": (5, 6)}),
    "a kernel as large as the image": Named({"kernel": (5, 6), "hw": (5, 6)}),
    "asymmetric stride": Named({"stride": (1, 2), "hw": (5, 6)}),
    "stride 2, odd size": Named({"stride": (2, 2), "padding": (1, 1), "hw": (7, 7)}),
    "stride 2, even size": Named({"stride": (2, 2), "padding": (1, 1), "hw": (8, 8)}),
    "stride larger than the kernel (unread pixels)": Named({"hw": (7, 8), "kernel": (2, 2), "stride": (3, 4)}),
    "NaN in an unread pixel": Named({"hw": (7, 7), "kernel": (1, 1), "stride": (2, 2)}, Put(0, np.nan)),
    "padding": Named({"padding": (1, 1)}),
    "padding of rows only": Named({"padding": (1, 0)}),
    "padding of columns only": Named({"padding": (0, 1)}),
    "3 channels": Named({"CG": 3}),
    "16 channels (whole tiles)": Named({"CG": 16}),
    "32 channels (whole tiles)": Named({"CG": 32}),
    "17 channels (tile tail)": Named({"CG": 17}),
    "width 15 (tile tail)": Named({"hw": (3, 15), "padding": (1, 1)}),
    "width 16 (whole tiles)": Named({"hw": (3, 16), "padding": (1, 1)}),
    "width 32 (whole tiles)": Named({"hw": (3, 32), "padding": (1, 1)}),
    "width 33 (tile tail)": Named({"hw": (3, 33), "padding": (1, 1)}),
    "a kernel of 7 rows and 8 columns": Named({"hw": (9, 10), "kernel": (7, 8), "padding": (3, 3)}),
    "one image, tall": Named({"hw": (31, 3), "padding": (1, 1)}),
    "wide and flat": Named({"hw": (1, 40), "kernel": (1, 3)}),
    "five images": Named({"N": 5, "hw": (4, 4)}),
    "empty batch": Named({"N": 0}),
    "not a number": Named({"hw": (6, 7)}, Put(0, np.nan)),
    "infinity": Named({"hw": (6, 7)}, Put(0, np.inf)),
    "refused: one row of windows too many": Named(spoil=("y", "oh"), refused=True),
    "refused: another number of images": Named(spoil=("y", "n"), refused=True),
    "refused: another number of channels": Named(spoil=("x", "c"), refused=True),
}


NOUNS = {"oh": "row", "ow": "column", "h": "row", "w": "column", "o": "channel", "c": "channel", "n": "image"}


def _conv_shapes(s: Structure) -> tuple[dict[str, Shape], dict[str, Any]]:
    (H, W), (KH, KW), (OH, OW), O = s["hw"], s["kernel"], _windows(s), s["OG"] * s["groups"]
    shapes = {
        "x": {"n": s["N"], "h": H, "w": W, "c": s["CG"] * s["groups"]},
        "w": {"kh": KH, "kw": KW, "cg": s["CG"], "o": O},
        "y": {"n": s["N"], "oh": OH, "ow": OW, "o": O},
    }
    return shapes, {key: s[key] for key in ("stride", "padding", "dilation", "groups")}


CONV = Family(
    plain={
        "N": 1,
        "hw": (5, 5),
        "kernel": (3, 3),
        "CG": 2,
        "OG": 2,
        "stride": (1, 1),
        "padding": (0, 0),
        "dilation": (1, 1),
        "groups": 1,
    },
    shapes=_conv_shapes,
    structures=st.builds(lambda s, groups: {**s, "groups": groups}, _images(False, "CG", "OG"), st.integers(1, 3)),
    traits=TRAITS
    | {
        "groups > 1": lambda s: s["groups"] > 1,
        "several channels to a group": lambda s: s["CG"] > 1,
        "several outputs to a group": lambda s: s["OG"] > 1,
    },
    grouped=("c", "o"),
    sizes=("N", "hw", "kernel", "CG", "OG"),
    nouns=NOUNS,
    named=CORNERS
    | {
        "padding wider than the kernel": Named({"kernel": (2, 1), "padding": (3, 2), "hw": (4, 3)}),
        "an image smaller than its padding": Named({"hw": (1, 2), "padding": (2, 2)}),
        "dilation 2": Named({"dilation": (2, 2), "hw": (7, 6)}),
        "dilation 2, padding 2": Named({"dilation": (2, 2), "padding": (2, 2)}),
        "dilation 3 and 4": Named({"dilation": (3, 4), "hw": (9, 11)}),
        "dilation of columns only, stride 2": Named({"dilation": (1, 2), "stride": (2, 2), "hw": (6, 9)}),
        "groups 2": Named({"groups": 2}),
        "groups 3, one output each": Named({"groups": 3, "OG": 1}),
        "depthwise": Named({"groups": 4, "CG": 1, "OG": 1, "padding": (1, 1)}),
        "depthwise, 65 channels": Named({"groups": 65, "CG": 1, "OG": 1, "hw": (3, 3)}),
        "groups of 17 outputs (tile tail)": Named({"groups": 2, "OG": 17}),
        "16 outputs (whole tiles)": Named({"OG": 16}),
        "32 outputs (whole tiles)": Named({"OG": 32}),
        "17 outputs (tile tail)": Named({"OG": 17}),
        "32 channels and outputs (whole tiles)": Named({"CG": 32, "OG": 32}),
        "33 channels and outputs (tile tails)": Named({"CG": 33, "OG": 33}),
        "32 channels and outputs, 1x1 kernel": Named({"CG": 32, "OG": 32, "kernel": (1, 1)}),
        "a residual network's layer": Named({"N": 2, "hw": (6, 6), "CG": 8, "OG": 8, "padding": (1, 1)}),
        "a generator's layer": Named(
            {"hw": (6, 6), "kernel": (4, 4), "CG": 4, "OG": 3, "stride": (2, 2), "padding": (1, 1)}
        ),
        "refused: weights for other channels": Named(spoil=("w", "cg"), refused=True),
    },
)
CONVOLUTION = {"g": "conv2d", "x": "conv2d_dx", "w": "conv2d_dw"}
SECOND_NAN = {"not a number in the second argument, no padding": Named(put=Put(1, np.nan))}


def _pool_shapes(s: Structure, keys: tuple[str, ...]) -> tuple[dict[str, Shape], dict[str, Any]]:
    (H, W), (OH, OW) = s["hw"], _windows(s)
    shapes = {
        "x": {"n": s["N"], "h": H, "w": W, "c": s["CG"]},
        "y": {"n": s["N"], "oh": OH, "ow": OW, "c": s["CG"]},
    }
    return shapes, {key: s[key] for key in ("kernel", "stride", "padding", *keys)}


POOL = {key: CONV.plain[key] for key in ("N", "hw", "kernel", "CG", "stride", "padding", "dilation")}
POOL_CORNERS = CORNERS | {
    "windows of 2, no overlap": Named({"kernel": (2, 2), "stride": (2, 2), "hw": (6, 6)}),
    "a residual network's pool": Named({"stride": (2, 2), "padding": (1, 1), "hw": (8, 8), "CG": 4}),
    "refused: a window of padding": Named({"kernel": (1, 1), "padding": (1, 0)}, refused=True),
}
MAX = Family(
    plain=POOL,
    shapes=lambda s: _pool_shapes(s, ("dilation",)),
    structures=_images(True, "CG"),
    traits=TRAITS,
    sizes=("N", "hw", "kernel", "CG"),
    nouns=NOUNS,
    named=POOL_CORNERS
    | {
        "dilation 2": Named({"dilation": (2, 2), "hw": (7, 6)}),
        "dilation 3 and 4": Named({"dilation": (3, 4), "hw": (9, 11)}),
    },
)
AVG = Family(
    plain={**POOL, "count_include_pad": True},
    shapes=lambda s: _pool_shapes(s, ("count_include_pad",)),
    structures=st.builds(
        lambda s, counted: {**s, "dilation": (1, 1), "count_include_pad": counted}, _images(True, "CG"), st.booleans()
    ),
    traits=TRAITS | {"count_include_pad=False": lambda s: not s["count_include_pad"]},
    sizes=("N", "hw", "kernel", "CG"),
    nouns=NOUNS,
    named=POOL_CORNERS | {"padding that does not count": Named({"padding": (1, 1), "count_include_pad": False})},
)
TIES = "rng.integers(-3, 4, {shape}).astype({dtype!r})"  # few values: most windows hold equal maxima
PLACES = Arg("index", "y", "rng.integers(0, {kernel[0]} * {kernel[1]}, {shape}, dtype='int32')", "int32")
WINNER = {"g": "max_pool2d_take", "u": "max_pool2d_dx"}

OPS = [
    Op("conv2d", CONV, lambda s: [Arg("x", "x"), Arg("w", "w"), Arg("out", "y", "")], CONVOLUTION, named=SECOND_NAN),
    Op("conv2d_dx", CONV, lambda s: [Arg("g", "y"), Arg("w", "w"), Arg("out", "x", "")], CONVOLUTION),
    Op("conv2d_dw", CONV, lambda s: [Arg("x", "x"), Arg("g", "y"), Arg("out", "w", "")], CONVOLUTION, named=SECOND_NAN),
    Op(
        "max_pool2d",
        MAX,
        lambda s: [Arg("x", "x", TIES), Arg("out", "y", ""), Arg("index", "y", "", "int32")],
        {"g": "max_pool2d", "x": "max_pool2d_dx"},
        exact,
        named={"nothing but -inf": Named({"padding": (1, 1)}, Put(0, -np.inf, everywhere=True))},
    ),
    Op("max_pool2d_dx", MAX, lambda s: [Arg("g", "y"), PLACES, Arg("out", "x", "")], WINNER),
    Op("max_pool2d_take", MAX, lambda s: [Arg("u", "x"), PLACES, Arg("out", "y", "")], WINNER, exact),
    Op(
        "avg_pool2d",
        AVG,
        lambda s: [Arg("x", "x"), Arg("out", "y", "")],
        {"g": "avg_pool2d", "x": "avg_pool2d_dx"},
    ),
    Op(
        "avg_pool2d_dx",
        AVG,
        lambda s: [Arg("g", "y"), Arg("out", "x", "")],
        {"g": "avg_pool2d", "x": "avg_pool2d_dx"},
    ),
]
