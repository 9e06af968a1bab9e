"""The table's rows for functions of layers that are composed of others: each has a name in PyTorch's functional."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from tinyres_kernels.settings import Conv

from tests.ops.oracles import Oracle, Sample, away, distinct, each, largest, normal, row
from tests.ops.table_images import conv_dx_oracle, conv_oracle, norm_oracle, pool_oracle
from tinyres.nn import functional as F

INDEX = np.array([[4, 0, 4], [2, 2, 1]])
SEEN = np.array([[1, 0, 1, 0, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 1, 0, 0, 0]], bool)  # one row sees nothing
SELU = 1.0507009873554805, 1.6732632423543772


class Case(NamedTuple):
    """A call of a function that is called the same in PyTorch: of these inputs, and of constants after them."""

    name: str
    oracle: Oracle
    inputs: tuple[Sample, ...]
    args: tuple[Any, ...] = ()
    settings: dict[str, Any] = {}  # noqa: RUF012 (never written into)
    empty: tuple[tuple[int, ...], ...] | None = None


def plain(name: str, formula: Callable[[float], float], *args: Any, from_: float = 0.0) -> Case:
    """A function of single numbers."""
    return Case(name, each(formula), (away(2, 3, from_=from_),), args, empty=((0, 3),))


# -- oracles --------------------------------------------------------------------------------------------------------
def standardized(x: np.ndarray, eps: float = 1e-5) -> np.ndarray:
    return (x - np.mean(x)) / math.sqrt(np.var(x) + eps)


def layer_normed(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.stack([standardized(sample, 1e-3) * w + b for sample in x])


def plainly_normed(x: np.ndarray, w: Any = 1.0, b: Any = 0.0) -> np.ndarray:
    return np.stack([[standardized(line, 1e-3) * w + b for line in sample] for sample in x]).reshape(x.shape)


def rms_normed(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    return np.stack([sample / math.sqrt(np.mean(sample**2) + 0.1) * w for sample in x])


def plainly_rooted(x: np.ndarray, w: Any = 1.0) -> np.ndarray:
    return np.stack([rms_normed(sample, w) for sample in x]).reshape(x.shape)


def group_normed(groups: int) -> Oracle:
    def apply(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
        y = np.empty_like(x)
        for n, part in product(range(len(x)), np.split(np.arange(x.shape[1]), groups)):
            y[n, part] = standardized(x[n, part])
        ones = (1,) * (x.ndim - 2)
        return y * w.reshape(-1, *ones) + b.reshape(-1, *ones)

    return apply


def attended(q: np.ndarray, k: np.ndarray, v: np.ndarray, *added: np.ndarray, scale: float, sees: Any) -> np.ndarray:
    """Attention query by query: `sees(i, j)` says whether query i sees key j, and `added` what is added to logits."""
    y = np.zeros((*q.shape[:-1], v.shape[-1]))
    for batch in np.ndindex(q.shape[:-2]):
        for i in range(q.shape[-2]):
            keys = [j for j in range(k.shape[-2]) if sees(i, j)]
            logits = {j: math.fsum(q[batch][i] * k[batch][j]) * scale + sum(a[i, j] for a in added) for j in keys}
            shares = {j: math.exp(logit) for j, logit in logits.items()}
            y[batch][i] = sum(share / math.fsum(shares.values()) * v[batch][j] for j, share in shares.items())
    return y


def attention(name: str, sees: Any = lambda i, j: True, scale: float | None = None, **settings: Any) -> Case:
    shapes = (normal(2, 2, 4, 3), normal(2, 2, 5, 3), normal(2, 2, 5, 2))
    return Case(
        name, lambda *xs: attended(*xs, scale=scale or 1 / math.sqrt(3), sees=sees), shapes,
        settings=settings if scale is None else settings | {"scale": scale},
        empty=None if "attn_mask" in settings else ((0, 4, 3), (0, 5, 3), (0, 5, 2)),
    )  # fmt: skip


def over_length(p: float) -> Oracle:
    def apply(x: np.ndarray) -> np.ndarray:
        lengths = np.linalg.norm(x, p, axis=1, keepdims=True)
        return np.divide(x, lengths)

    return apply


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("nd,nd->n", a, b) / np.sqrt(np.einsum("nd,nd->n", a, a) * np.einsum("nd,nd->n", b, b))


def in_one_row(oracle: Oracle) -> Oracle:
    """An oracle of images, for signals."""
    return lambda x, *more: oracle(x[:, :, None], *(m[:, :, None] for m in more))[:, :, 0]


def padded(mode: str, *widths: tuple[int, int]) -> Oracle:
    return lambda x: np.pad(x, ((0, 0),) * (x.ndim - len(widths)) + widths, mode)  # type: ignore[call-overload]


def ceil_pool(reduce: Callable[[list[float], int], float], kernel: int, stride: int, padding: int) -> Oracle:
    """Pools of square windows, of which the last may hang over the rim; `reduce` is told how many places of a window
    lie in the image or its padding."""

    def apply(x: np.ndarray) -> np.ndarray:
        starts = [[s for s in range(-padding, n, stride) if s + kernel - stride < n + padding] for n in x.shape[2:]]
        y = np.empty((*x.shape[:2], *map(len, starts)))
        for n, c, (i, r), (j, s) in product(range(len(x)), range(x.shape[1]), *map(enumerate, starts)):
            rows, columns = (range(a, min(a + kernel, m + padding)) for a, m in zip((r, s), x.shape[2:], strict=True))
            inside = [
                float(x[n, c, u, v]) for u in rows for v in columns if 0 <= u < x.shape[2] and 0 <= v < x.shape[3]
            ]
            y[n, c, i, j] = reduce(inside, len(rows) * len(columns))
        return y

    return apply


def resampled(weights: Callable[[int, int, int], float], *outs: int) -> Oracle:
    """weights(i, k, n): how much input k of n counts in output i."""

    def apply(x: np.ndarray) -> np.ndarray:
        for axis, out in enumerate(outs, start=2):
            n = x.shape[axis]
            matrix = np.array([[weights(i, k, n) for k in range(n)] for i in range(out)])
            x = np.moveaxis(np.tensordot(matrix, x, (1, axis)), 0, axis)
        return x

    return apply


def hat(place: Callable[[int, int], float]) -> Callable[[int, int, int], float]:
    """Linear interpolation at place(i, n), which stays inside."""
    return lambda i, k, n: max(0.0, 1 - abs(min(max(place(i, n), 0.0), n - 1.0) - k))


def keys(place: Callable[[int, int], float]) -> Callable[[int, int, int], float]:
    """Keys' cubic with slope -3/4, over the input with its ends repeated."""

    def cubic(t: float) -> float:
        t = abs(t)
        if t < 1:
            return 1.25 * t**3 - 2.25 * t**2 + 1
        return -0.75 * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0.0

    def weight(i: int, k: int, n: int) -> float:
        first = math.floor(place(i, n)) - 1
        return sum(cubic(place(i, n) - t) for t in range(first, first + 4) if min(max(t, 0), n - 1) == k)

    return weight


def same(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Padded for a 2 by 3 kernel: one row below, one column on each side."""
    return conv_oracle(Conv((1, 1), (0, 0), (1, 1), 1))(np.pad(x, ((0, 0), (0, 0), (0, 1), (1, 1))), w)


# -- the cases ------------------------------------------------------------------------------------------------------
CASES: dict[str, Case] = {
    "selu": plain("selu", lambda x: SELU[0] * (x if x > 0 else SELU[1] * math.expm1(x))),
    "celu": plain("celu", lambda x: x if x > 0 else 0.5 * math.expm1(x / 0.5), 0.5),  # PyTorch rounds 0.7 to float32
    "mish": plain("mish", lambda x: x * math.tanh(math.log1p(math.exp(x)))),
    "softsign": plain("softsign", lambda x: x / (1 + math.fabs(x))),
    "tanhshrink": plain("tanhshrink", lambda x: x - math.tanh(x)),
    "softplus, threshold": plain("softplus", lambda x: x if 2 * x > 1.3 else math.log1p(math.exp(2 * x)) / 2, 2.0, 1.3,
                                 from_=0.65),
    "hardtanh": plain("hardtanh", lambda x: sorted([-0.3, x, 0.4])[1], -0.3, 0.4, from_=0.4),
    "relu6": plain("relu6", lambda x: sorted([0.0, x, 6.0])[1], from_=6.0),
    "hardswish": plain("hardswish", lambda x: x * sorted([0.0, x + 3, 6.0])[1] / 6),
    "threshold": plain("threshold", lambda x: x if x > 0.5 else 2.0, 0.5, 2.0, from_=0.5),
    "hardshrink": plain("hardshrink", lambda x: x if math.fabs(x) > 0.1 else 0.0, 0.1),
    "softshrink": plain("softshrink", lambda x: math.copysign(max(math.fabs(x) - 0.1, 0.0), x), 0.1),
    "softmin": Case("softmin", lambda x: np.exp(-x) / np.sum(np.exp(-x), 1, keepdims=True), (normal(2, 3),), (1,)),
    "glu": Case("glu", lambda x: x[:, :2] / (1 + np.exp(-x[:, 2:])), (normal(2, 4, 3),), (1,), empty=((0, 4, 3),)),
    "prelu": Case("prelu", each(lambda x, w: x if x > 0 else w * x), (away(2, 3), normal(1))),
    "prelu, by channel": Case("prelu", lambda x, w: np.maximum(x, 0) + w[:, None] * np.minimum(x, 0),
                              (away(2, 3, 2), normal(3))),
    "layer norm": Case("layer_norm", lambda x, w, b: layer_normed(x, w, b), (normal(3, 2, 4), away(2, 4), normal(2, 4)),
                       settings={"eps": 1e-3}),
    "rms norm": Case("rms_norm", rms_normed, (normal(3, 4), away(4)), settings={"eps": 0.1}),
    "group norm": Case("group_norm", group_normed(2), (normal(2, 4, 3), away(4), normal(4)), (), {"num_groups": 2}),
    "group norm, images": Case("group_norm", group_normed(3), (normal(2, 6, 2, 2), away(6), normal(6)), (),
                               {"num_groups": 3}),
    "instance norm": Case("instance_norm", group_normed(3), (normal(2, 3, 5), away(3), normal(3))),
    "instance norm, images": Case("instance_norm", group_normed(3), (normal(2, 3, 2, 3), away(3), normal(3))),
    "attention": attention("scaled_dot_product_attention"),
    "attention, causal": attention("scaled_dot_product_attention", lambda i, j: j <= i, is_causal=True),
    "attention, a scale": attention("scaled_dot_product_attention", scale=0.3),
    "attention, a mask": attention("scaled_dot_product_attention", lambda i, j: SEEN[i, j], attn_mask=SEEN),
    "attention, added": Case(
        "scaled_dot_product_attention",
        lambda *xs: attended(*xs, scale=1 / math.sqrt(3), sees=lambda i, j: True),
        (normal(2, 4, 3), normal(2, 5, 3), normal(2, 5, 2), normal(4, 5)),
    ),
    "normalize": Case("normalize", over_length(2), (away(3, 4),)),
    "normalize, 1": Case("normalize", over_length(1), (away(3, 4),), (1.0,)),
    "normalize, 3": Case("normalize", over_length(3), (away(3, 4),), (3.0, 1)),
    "normalize, inf": Case("normalize", over_length(math.inf), (distinct(3, 4),), (math.inf,)),
    "cosine similarity": Case("cosine_similarity", cosine, (away(3, 4), away(3, 4))),
    "conv, same": Case("conv2d", same, (normal(1, 2, 3, 4), normal(2, 2, 2, 3)), (), {"padding": "same"}),
    "conv, valid": Case("conv2d", conv_oracle(Conv((2, 1), (0, 0), (1, 1), 1)), (normal(1, 2, 4, 3),
                        normal(2, 2, 2, 3)), (), {"padding": "valid", "stride": (2, 1)}),
    "conv, one image": Case("conv2d", lambda x, w: conv_oracle(Conv((1, 1), (1, 1), (1, 1), 1))(x[None], w)[0],
                            (normal(2, 3, 4), normal(3, 2, 2, 3)), (), {"padding": 1}),
    "conv transpose, one image": Case(
        "conv_transpose2d", lambda x, w: conv_dx_oracle(Conv((2, 2), (0, 0), (1, 1), 1), (6, 6))(x[None], w)[0],
        (normal(2, 3, 3), normal(2, 2, 2, 2)), (), {"stride": 2},
    ),
    "conv 1d": Case("conv1d", in_one_row(conv_oracle(Conv((1, 2), (0, 1), (1, 2), 1))), (normal(2, 2, 6),
                    normal(3, 2, 3)), (), {"stride": 2, "padding": 1, "dilation": 2}, ((0, 2, 6), (3, 2, 3))),
    "conv 1d, groups": Case("conv1d", in_one_row(conv_oracle(Conv((1, 1), (0, 0), (1, 1), 2))), (normal(2, 4, 5),
                            normal(2, 2, 3)), (), {"groups": 2}),
    "conv transpose 1d": Case("conv_transpose1d", in_one_row(conv_dx_oracle(Conv((1, 2), (0, 1), (1, 1), 1), (1, 6))),
                              (normal(2, 2, 3), normal(2, 3, 3)), (), {"stride": 2, "padding": 1, "output_padding": 1}),
    "max pool 1d": Case("max_pool1d", in_one_row(pool_oracle(lambda v, _: largest(v), (1, 3), (1, 2), (0, 1))),
                        (distinct(2, 2, 7),), (3, 2, 1)),
    "avg pool 1d": Case("avg_pool1d", in_one_row(pool_oracle(lambda v, n: math.fsum(v) / n, (1, 3), (1, 2), (0, 1))),
                        (normal(2, 2, 7),), (3, 2, 1)),
    "adaptive avg pool 1d": Case(
        "adaptive_avg_pool1d", lambda x: np.stack([x[..., :3].mean(-1), x[..., 2:].mean(-1)], -1), (normal(2, 2, 5),),
        (2,),
    ),
    "max pool, ceil": Case("max_pool2d", ceil_pool(lambda v, _: largest(v), 3, 2, 1), (distinct(1, 2, 6, 5),),
                           (3, 2, 1), {"ceil_mode": True}),
    "avg pool, ceil": Case("avg_pool2d", ceil_pool(lambda v, n: math.fsum(v) / n, 3, 2, 1), (normal(1, 2, 6, 5),),
                           (3, 2, 1), {"ceil_mode": True}),
    "avg pool, ceil, padding does not count": Case(
        "avg_pool2d", ceil_pool(lambda v, _: math.fsum(v) / len(v), 3, 2, 1), (normal(1, 2, 6, 5),), (3, 2, 1),
        {"ceil_mode": True, "count_include_pad": False},
    ),
    "avg pool, divisor": Case("avg_pool2d", pool_oracle(lambda v, _: math.fsum(v) / 7, (2, 2), (2, 2)),
                              (normal(1, 2, 4, 5),), (2,), {"divisor_override": 7}),
    "pad, reflected": Case("pad", padded("reflect", (1, 2), (3, 0)), (normal(2, 3, 4),), ((3, 0, 1, 2), "reflect")),
    "pad, replicated": Case("pad", padded("edge", (1, 2), (3, 0)), (normal(2, 2, 3),), ((3, 0, 1, 2), "replicate")),
    "pad, circular": Case("pad", padded("wrap", (1, 2), (3, 0)), (normal(2, 2, 3),), ((3, 0, 1, 2), "circular")),
    "pad, cut": Case("pad", lambda x: np.pad(x[:, 1:], ((0, 0), (0, 2))), (normal(2, 3),), ((-1, 2),)),
    "interpolate nearest": Case("interpolate", resampled(lambda i, k, n: float(k == i * n // 5), 5, 5),
                                (normal(1, 2, 3, 4),), (5,)),
    "interpolate nearest-exact": Case(
        "interpolate", resampled(lambda i, k, n: float(k == (2 * i + 1) * n // 14), 7), (normal(1, 2, 4),), (7,),
        {"mode": "nearest-exact"},
    ),
    "interpolate linear": Case("interpolate", resampled(hat(lambda i, n: (i + 0.5) * n / 7 - 0.5), 7),
                               (normal(1, 2, 4),), (7,), {"mode": "linear"}),
    "interpolate bilinear, a factor": Case(
        "interpolate", resampled(hat(lambda i, n: (i + 0.5) / 1.7 - 0.5), 5, 6), (normal(1, 2, 3, 4),), (),
        {"scale_factor": 1.7, "mode": "bilinear"},
    ),
    "interpolate bilinear, corners": Case(
        "interpolate", resampled(hat(lambda i, n: i * (n - 1) / 4), 5, 5), (normal(1, 2, 3, 4),), (5,),
        {"mode": "bilinear", "align_corners": True},
    ),
    "interpolate bicubic": Case("interpolate", resampled(keys(lambda i, n: (i + 0.5) * n / 5 - 0.5), 5, 5),
                                (normal(1, 2, 3, 4),), (5,), {"mode": "bicubic"}),
    "interpolate area": Case(
        "interpolate", lambda x: np.stack([x[..., :2].mean(-1), x[..., 1:].mean(-1)], -1), (normal(1, 2, 3),), (2,),
        {"mode": "area"},
    ),
    "batch norm, signals": Case("batch_norm", lambda x, w, b: norm_oracle(x, w, b),
                                (normal(3, 2, 3), away(2), normal(2)),
                                settings={"running_mean": None, "running_var": None, "training": True}),
    "linear": Case("linear", lambda x, w, b: np.einsum("nmi,oi->nmo", x, w) + b,
                   (normal(2, 2, 3), normal(4, 3), normal(4))),
    "embedding": Case("embedding", lambda w: np.stack([[w[k] for k in line] for line in INDEX]), (normal(5, 2),)),
}  # fmt: skip


def called(case: Case, functional: Any, convert: Callable[[Any], Any] = lambda a: a) -> Callable[..., Any]:
    """The case's function in a library's `functional`; `convert` makes that library's arrays of NumPy's."""
    function = getattr(functional, case.name)
    settings, args = {k: convert(v) for k, v in case.settings.items()}, tuple(map(convert, case.args))
    if case.name in ("layer_norm", "rms_norm"):
        return lambda x, w, *b: function(x, tuple(w.shape), w, *b, **settings)
    if case.name in ("group_norm", "instance_norm", "batch_norm"):
        return lambda x, w, b: function(x, weight=w, bias=b, **settings)
    if case.name == "embedding":
        return lambda w: function(convert(INDEX), w)
    return lambda *xs: function(*xs, *args, **settings)


def layer_rows() -> None:
    for case, count in {"weight and bias": 2, "a weight": 1, "alone": 0}.items():
        row("layer_norm", lambda x, *more: F.layer_norm(x, 4, *more, eps=1e-3), plainly_normed,
            normal(2, 3, 4), *(away(4), normal(4))[:count], case=case,
            empty=((0, 3, 4), (4,), (4,))[: count + 1])  # fmt: skip
    for case, count in {"a weight": 1, "alone": 0}.items():
        row("rms_norm", lambda x, *w: F.rms_norm(x, 4, *w, eps=0.1), plainly_rooted, normal(2, 3, 4),
            *(away(4),)[:count], case=case, empty=((0, 3, 4), (4,))[: count + 1])  # fmt: skip
    for name, case in CASES.items():
        row("", called(case, F), case.oracle, *case.inputs, case=name, empty=case.empty)
