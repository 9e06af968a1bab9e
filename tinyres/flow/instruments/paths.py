"""Path decomposition: a residual net's gradient as an exact sum over path lengths."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tinyres.arrays import namespace, to_device
from tinyres.autograd import Arrays, grad, walk
from tinyres.autograd.node import Node
from tinyres.autograd.tensor import Array, Tensor, raw
from tinyres.figures import palette
from tinyres.flow.measurement import Measurement
from tinyres.flow.theory.path_lengths import tilted

Terms = dict[int, Any]  # {number of branches passed: the gradient along those paths}


class Lengths:
    """Polynomial cotangents {k: coefficient of z^k}; every residual branch multiplies by z."""

    arrays = Arrays()

    def add(self, total: Terms, contribution: Terms, fresh: bool) -> Terms:
        both = {k: self._sum(total[k], contribution[k]) for k in total.keys() & contribution.keys()}
        return total | contribution | both

    def apply(self, rule: Any, cotangent: Terms) -> Terms:
        return {k: rule(g) for k, g in cotangent.items()}

    def edge(self, consumer: Node, arg_index: int, contribution: Terms) -> Terms:
        # Only the skip adds no length. A gate does, and so does a batch norm's weight when its operation holds the sum.
        if consumer.roles is None or consumer.roles[arg_index] == "skip":
            return contribution
        return {k + 1: g for k, g in contribution.items()}

    def _sum(self, a: Any, b: Any) -> Any:
        return self.arrays.add(a, b, False)


class Counts(Lengths):
    """The same with every derivative replaced by 1, which counts the paths through the graph."""

    def apply(self, rule: Any, cotangent: Terms) -> Terms:
        return cotangent

    def _sum(self, a: int, b: int) -> int:
        return a + b


def paths(
    output: Tensor, inputs: Tensor | Iterable[Tensor], grad_output: Any = None, *, keep_terms: bool = False
) -> Measurement:
    """Split the gradient at `inputs` by path length: the number of residual branches on a path.

        gradient = sum_k term_k,    term_k: the paths through exactly k branches

    One backward pass carries polynomials in z as its cotangents. A branch multiplies by z, so the coefficient of z^k
    is term_k. `nn.Residual` and its relatives label the arguments of their sum as skip or branch; a path through a gate
    counts as one through a branch. Paths are those of the graph of operations: a norm or an attention inside a branch
    passes several at once, which `count` counts one by one. The result is exact: nothing is sampled or truncated, and
    the graph is kept.
    Veit et al. 2016 [veit2016residual], "Residual networks behave like ensembles of relatively shallow networks".

    Args:
        output: a loss, or any result.
        inputs: what to differentiate with respect to: an input, parameters, any intermediate result. Several are taken
            as one long vector.
        grad_output: the cotangent of output; optional if output has one element.
        keep_terms: return the terms themselves, too.

    Returns:
        Arrays over the length k = 0 ... L: `norm` |term_k|; `projection` <term_k, gradient> / |gradient|^2, which
        sums to 1; `share` |term_k|^2 / sum_j |term_j|^2; `count` and `count_share`, the number of paths and their share
        of all paths, C(L, k) and C(L, k) / 2^L for a chain of L blocks with one path through each branch;
        `tilted`, proportional to count_k r^k, with r chosen so that its mean is that of `share`; `terms`,
        (L + 1, *shape of the input), or (L + 1, total entries) for several inputs. Numbers: `mean_length`, the mean of
        `share`; `gradient_norm`.

    Raises:
        ValueError: no residual connection lies between inputs and output, or inputs is empty.
        FloatingPointError: a term is not finite.
        RuntimeError: for the same reasons as `tr.grad`.
    """
    targets = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if not targets:
        raise ValueError("paths: inputs is empty; pass at least one tensor to differentiate with respect to")
    (seed,) = grad(output, output, grad_output, retain_graph=True)
    counted = walk(output, targets, Counts(), {0: 1})
    _check_routes(counted)
    found = walk(output, targets, Lengths(), {0: raw(seed)})
    length = 1 + max(k for terms in found for k in terms)
    flat = np.concatenate([_stack(terms, target, length) for terms, target in zip(found, targets, strict=True)], axis=1)
    finite = np.isfinite(flat).all(axis=1)
    if not finite.all():
        raise FloatingPointError(
            f"paths: the gradient through {int(np.argmin(finite))} branches holds NaN or infinity; "
            "run the forward and backward pass inside tr.detect_anomaly() to find the operation that made the first"
        )
    total = flat.sum(axis=0)
    norm, whole = np.array([_norm(term) for term in flat]), _norm(total)
    with np.errstate(invalid="ignore", divide="ignore"):  # if the gradient is all zeros, the shares are NaN
        energy = (norm / norm.max()) ** 2
        share, projection = energy / energy.sum(), (flat / whole) @ (total / whole)
    ways = [sum(c.get(k, 0) for c in counted) for k in range(length)]
    mean = float(share @ np.arange(length))
    arrays = {
        "norm": norm,
        "projection": projection,
        "share": share,
        "count": np.array([float(n) if n.bit_length() < 1024 else np.inf for n in ways]),
        "count_share": np.array([n / sum(ways) for n in ways]),
        "tilted": tilted(ways, mean) if np.isfinite(mean) else np.full(length, np.nan),
        "mean_length": np.array(mean),
        "gradient_norm": np.array(whole),
    }
    axes = {name: ("length",) * array.ndim for name, array in arrays.items()}
    if keep_terms:
        arrays["terms"] = flat.reshape(length, *targets[0].shape) if len(targets) == 1 else flat
        axes["terms"] = ("length", *(f"axis {a}" for a in range(arrays["terms"].ndim - 1)))
    cost = f"each rule runs once per length that reaches it: about {length // 2 + 1} backward passes, at most {length}"
    return Measurement("path lengths", arrays, axes, cost, _draw, {"length": list(range(length))})


def _check_routes(counted: tuple[Terms | None, ...]) -> None:
    unused = [i for i, terms in enumerate(counted) if terms is None]
    if unused:
        raise RuntimeError(f"paths: the output does not depend on inputs[{unused[0]}]; leave it out")
    if not any(k for terms in counted for k in terms or ()):
        raise ValueError(
            "paths: there is no residual connection between inputs and output, so all paths have length 0; build "
            "the blocks with nn.Residual, and differentiate with respect to something below them, such as the input"
        )


def _stack(terms: Terms, target: Tensor, length: int) -> Array:
    """(length, entries): the coefficients as rows of a matrix, in float64 because many terms are summed."""
    rows = np.zeros((length, target.size))
    xp = namespace(*terms.values())
    rows[list(terms)] = to_device(xp.stack([term.reshape(-1) for term in terms.values()]), "cpu")  # in one copy
    return rows


def _norm(vector: Array) -> float:
    """|vector|, scaled first so that the squares of exploding gradients do not overflow."""
    peak = float(np.abs(vector).max(initial=0))
    return peak * float(np.linalg.norm(vector / peak)) if peak else 0.0


def _draw(figure: Any, found: Measurement) -> None:
    """Left: share of the squared gradient by length, beside the share of paths. Right: the norm of each term."""
    left, right = figure.subplots(1, 2)
    k = np.arange(len(found["share"]))
    left.plot(k, found["count_share"], "-", color="0.6", label="number of paths through operations")
    left.plot(k, found["tilted"], "-", color=palette.RESIDUAL, lw=1, label="number of these paths × rᵏ")
    left.plot(k, found["share"], "o", color=palette.RESIDUAL, ms=4, label="squared gradient, measured")
    left.set(xlabel="residual branches on the path", ylabel="share of all lengths")
    left.set_title(f"The gradient's paths have mean length {float(found['mean_length']):.2f}")
    left.legend(fontsize=8)
    right.semilogy(
        k, np.where(found["norm"] > 0, found["norm"], np.nan), "o", color=palette.RESIDUAL, ms=4, label="|term|"
    )
    whole = float(found["gradient_norm"])
    right.axhline(whole, color="0.6", lw=1, label="|gradient|, the sum of all terms")
    right.set(xlabel="residual branches on the path", ylabel="norm")
    right.set_title("What each length contributes")
    right.margins(y=0.1)
    right.legend(fontsize=8, loc="lower left")


__all__ = ["Counts", "Lengths", "paths"]
