"""Wrong formulas of norms and of optimisers' steps, most of them with eps in another place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tinyres_kernels.conformance.calling import Arrays
from tinyres_kernels.conformance.formula import USUAL, Given, Known
from tinyres_kernels.namespace import Array

Root = Callable[[Array, float], Array]  # from a variance and eps to what is divided by
ROOTS: tuple[tuple[str, Root], ...] = (
    ("eps seems to be outside the root, as in sqrt({of}) + eps: it belongs inside, sqrt({of} + eps).",
     lambda v, eps: np.sqrt(v) + eps),
    ("It seems to leave eps out, or to take one that is far too small.", lambda v, eps: np.sqrt(v)),
    *((f"It seems to take eps to be {one:.0e}, whatever s.eps says.", lambda v, eps, one=one: np.sqrt(v + one))
      for one in USUAL),
    ("It seems to add the square of eps inside the root.", lambda v, eps: np.sqrt(v + eps * eps)),
)  # fmt: skip


def _row_norm(a: Given, root: Root, spread: Callable[[Array], Array], mean: bool = True) -> Arrays:
    x = a.wide["x"]
    centre = x.mean(axis=1, keepdims=True) if mean else 0.0
    scale = 1 / root(spread(x), a.s["eps"])
    out = (x - centre) * scale * a.wide.get("weight", np.ones(1)) + a.wide.get("bias", np.zeros(1))
    return {"out": out, "scale": scale[:, 0]}


def _right_root(v: Array, eps: float) -> Array:
    return np.sqrt(v + eps)


def _variance(x: Array) -> Array:
    return x.var(axis=1, keepdims=True)


def _square(x: Array) -> Array:
    return (x * x).mean(axis=1, keepdims=True)


def _of_row_norm(spread: Callable[[Array], Array], mean: bool, of: str) -> Iterator[Known]:
    for text, root in ROOTS:
        yield Known(text.format(of=of), lambda a, root=root: _row_norm(a, root, spread, mean=mean))  # type: ignore[misc]
    if mean:
        yield Known(
            "It seems to divide the variance by C - 1 (ddof=1): here it is the mean of the squares, over C.",
            lambda a: _row_norm(a, _right_root, lambda x: x.var(axis=1, ddof=1, keepdims=True)),
        )
    else:
        yield Known(
            "It seems to subtract the mean, as layer norm does: RMS norm has none.",
            lambda a: _row_norm(a, _right_root, _variance),
        )


def _bent(a: Given, root: Root) -> Arrays:
    """Batch norm with another divisor: of a variance that is given, one that comes to the same; else computed."""
    eps = a.s["eps"]
    variance = a.needed.get("variance", a.wide.get("variance"))
    if "variance" in a.wide:
        below = root(a.wide["variance"], eps)
        if not (below > 0).all():  # without eps, a variance of 0 has no inverse
            return {}
        made: Arrays = a.specified({**a.wide, "variance": below**2 - eps}, a.s)
        return made
    out = (a.wide["x"] - a.needed["mean"]) / root(variance, eps) * a.wide["weight"] + a.wide["bias"]
    out = out + a.wide.get("residual", 0.0)
    return {"out": np.where(out < 0, 0, out) if a.s["relu"] else out}


def _sampled(a: Given) -> Arrays:
    M = len(a.wide["x"])
    if "variance" in a.wide or M < 2:
        return {}
    return _bent(a, lambda v, eps: np.sqrt(v * M / (M - 1) + eps))


def _of_batch_norm() -> Iterator[Known]:
    for text, root in ROOTS:
        yield Known(text.format(of="variance"), lambda a, root=root: _bent(a, root))  # type: ignore[misc]
    yield Known(
        "It seems to divide by the variance of a sample, over M - 1: that one is for the running variance.", _sampled
    )
    yield Known(
        "The running variance seems to be moved by the variance over M: it takes that of a sample, M / (M - 1) times "
        "as large.",
        lambda a: _moved(a, lambda old, new, share, M: (1 - share) * old + share * new, ("new_var",)),
    )
    yield Known(
        "It seems to weigh the running statistics the other way round: the new one counts momentum, the old one "
        "1 - momentum.",
        lambda a: _moved(a, lambda old, new, share, M: share * old + (1 - share) * new * M, ("new_mean", "new_var")),
    )


def _moved(a: Given, move: Callable[[Array, Array, float, float], Array], names: Sequence[str]) -> Arrays:
    if "new_var" not in a.needed:
        return {}
    M = len(a.wide["x"])
    both = {
        "new_mean": (a.wide["running_mean"], a.needed["mean"], 1.0),
        "new_var": (a.wide["running_var"], a.needed["variance"], M / (M - 1)),
    }
    return {name: move(old, new, a.s["momentum"], more) for name, (old, new, more) in both.items() if name in names}


# -- steps ------------------------------------------------------------------------------------------------------------
def _adam(a: Given, below: Callable[[Array, Array, float], Array], corrected: bool = True) -> Arrays:
    """`below`: from new_v, its correction and eps to what the mean is divided by."""
    s, p = a.s, a.wide["p"]
    start = p * (1 - s["lr"] * s["weight_decay"]) if s["decoupled"] else p
    first = 1 - s["beta1"] ** s["step"] if corrected else 1.0
    correction = np.asarray(1 - s["beta2"] ** s["step"] if corrected else 1.0)
    return {"out": start - s["lr"] / first * a.needed["new_m"] / below(a.needed["new_v"], correction, s["eps"])}


def _of_adam() -> Iterator[Known]:
    ways: dict[str, Callable[[Array, Array, float], Array]] = {
        "eps seems to be inside the root: it belongs outside, sqrt(v) + eps.": lambda v, c, eps: np.sqrt(v / c + eps),
        "eps seems to be inside the root, before the correction: it belongs outside, sqrt(v) + eps.": (
            lambda v, c, eps: np.sqrt((v + eps) / c)
        ),
        "eps seems to be added before the correction: it belongs behind it, sqrt(v) / sqrt(1 - beta2^step) + eps.": (
            lambda v, c, eps: (np.sqrt(v) + eps) / np.sqrt(c)
        ),
        "It seems to leave eps out, or to take one that is far too small.": lambda v, c, eps: np.sqrt(v / c),
    }
    for text, below in ways.items():
        yield Known(text, lambda a, below=below: _adam(a, below))  # type: ignore[misc]
    yield Known(
        "It seems to leave out the corrections 1 - beta1^step and 1 - beta2^step.",
        lambda a: _adam(a, lambda v, c, eps: np.sqrt(v) + eps, corrected=False),
    )
    for one in USUAL:
        yield Known(
            f"It seems to take eps to be {one:.0e}, whatever s.eps says.",
            lambda a, one=one: _adam(a, lambda v, c, eps: np.sqrt(v / c) + one),  # type: ignore[misc]
        )


def _rmsprop(a: Given, below: Callable[[Array, float], Array]) -> Arrays:
    s, p = a.s, a.wide["p"]
    slope = a.wide["g"] + (s["weight_decay"] * p if s["weight_decay"] else 0.0)
    spread = np.maximum(a.needed["new_v"] - a.needed.get("new_a", np.zeros(1)) ** 2, 0)
    step = slope / below(spread, s["eps"])
    if "new_b" not in a.needed:
        return {"out": p - s["lr"] * step}
    step = step + s["momentum"] * a.wide.get("b", np.zeros(1))
    return {"out": p - s["lr"] * step, "new_b": step}


def _of_rmsprop() -> Iterator[Known]:
    yield Known(
        "eps seems to be inside the root: it belongs outside, sqrt(v) + eps.",
        lambda a: _rmsprop(a, lambda v, eps: np.sqrt(v + eps)),
    )
    yield Known(
        "It seems to leave eps out, or to take one that is far too small.",
        lambda a: _rmsprop(a, lambda v, eps: np.sqrt(v)),
    )
    for one in USUAL:
        yield Known(
            f"It seems to take eps to be {one:.0e}, whatever s.eps says.",
            lambda a, one=one: _rmsprop(a, lambda v, eps: np.sqrt(v) + one),  # type: ignore[misc]
        )


OF_NORMS: dict[str, Callable[[], Iterator[Known]]] = {
    "layer_norm": lambda: _of_row_norm(_variance, True, "variance"),
    "rms_norm": lambda: _of_row_norm(_square, False, "mean of the squares"),
    "batch_norm": _of_batch_norm,
    "batch_norm_dx": lambda: (
        Known(text.format(of="variance"), lambda a, root=root: _bent(a, root))  # type: ignore[misc]
        for text, root in ROOTS
    ),
    "adam": _of_adam,
    "rmsprop": _of_rmsprop,
}

__all__ = ["OF_NORMS"]
