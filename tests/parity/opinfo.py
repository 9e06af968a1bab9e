"""PyTorch's own sample inputs, run here: `python -m tests.parity.opinfo [NAME...]` prints how many run, and why not.

PyTorch describes its operations in a list, `op_db`, each with sample inputs for its own tests. For every operation
that tinyres has under the same name, each sample is run in both, in float64:

    value          f(x)
    first order    d<g, f(x)> / dx, with a fixed random g
    second order   d<r, first order> / dx, with a fixed random r

Numbers may differ by 1e-10 of the largest number there is (or of 1), and float32 ones by 1e-6. The exit status is 1 if
a sample gives something else, or if less than 95 % of the samples run.
"""

from __future__ import annotations

import importlib
import sys
import types
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any

import numpy as np
import torch

import tinyres as tr
from tests.parity.samples import LeftOut, dtype_of, flat, mapped, op_db, samples_of, title, translated
from tinyres.refusals import absent

TOLERANCE = {"float64": 1e-10, "float32": 1e-6}
ENOUGH = 0.95

# Their values are drawn or left as they were: only shape and dtype are compared.
DRAWN = {
    "bernoulli", "empty", "empty_like", "empty_permuted", "empty_strided", "multinomial", "new_empty",
    "new_empty_strided", "nn.functional.alpha_dropout", "nn.functional.dropout", "nn.functional.dropout2d",
    "nn.functional.dropout3d", "normal", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like",
    "randperm",
}  # fmt: skip
# PyTorch's own second derivatives are NaN at these points; here they are 0, like the first.
NO_SECOND = {"linalg.norm.subgradients_at_zero"}
# So many orders of derivatives are compared where PyTorch rounds coarsely in the next: by 5e-9, as it has 1/6 in single
# precision, and by 3e-10, as it adds 1e-12 to p (1 - p). test_nn_parity.py shows for both that ours are exact.
# PyTorch's fused attention has no second derivative; test_attention_parity.py compares ours with a composition.
EXACT_ORDERS = {
    "nn.functional.hardsigmoid": 0,
    "nn.functional.binary_cross_entropy": 1,
    "nn.functional.scaled_dot_product_attention": 1,
}


class Wrong(Exception):
    """A sample whose result is not PyTorch's."""


@dataclass
class Line:
    """An operation, and what became of its samples."""

    name: str
    samples: int = 0
    run: int = 0
    wrong: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    reason: str = ""


def ours(name: str) -> Callable[..., Any] | None:
    """The function of tinyres that has the name of an operation of PyTorch, or a method of its tensors."""
    *rooms, last = name.split(".")
    if rooms not in ([], ["linalg"], ["nn", "functional"]) or last.strip("_") not in (last, last[2:-2]):
        return None
    try:
        places = [importlib.import_module(".".join(["tinyres", *rooms]))]
    except ImportError:
        places = []
    for place in [*places, *([tr] if rooms != ["linalg"] else [])]:
        function = getattr(place, last, None)
        if callable(function) and not isinstance(function, type):
            return function
    method = None if rooms else getattr(tr.Tensor, last, None)
    return (lambda x: getattr(x, last)) if isinstance(method, property) else method


def twin(op: Any) -> Callable[..., Any] | None:
    """What is called here for an operation of PyTorch's list; for a lambda its code, with tinyres as `torch`."""
    function, theirs = ours(op.name), op.op
    if function is None or getattr(theirs, "__name__", "") != "<lambda>":
        return function
    names = {**theirs.__globals__, "torch": tr}
    return types.FunctionType(theirs.__code__, names, closure=theirs.__closure__, argdefs=theirs.__defaults__)


def operations(patterns: list[str]) -> Iterator[Any]:
    for op in op_db():
        named = not patterns or any(fnmatch(text, p) for p in patterns for text in (op.name, title(op)))
        if named and ours(op.name) is not None:
            yield op


def compare(mine: Any, theirs: torch.Tensor, what: str, values: bool = True) -> None:
    mine, theirs = np.asarray(mine), theirs.numpy(force=True)
    if mine.shape != theirs.shape:
        raise Wrong(f"{what}: shape {mine.shape}, not {theirs.shape}")
    finite = np.abs(theirs[np.isfinite(theirs)], dtype=np.float64) if theirs.dtype != np.bool_ else np.zeros(0)
    bound = TOLERANCE.get(str(theirs.dtype), 0.0) * max(1.0, finite.max(initial=0.0))
    if values and not np.allclose(mine, theirs, rtol=0, atol=bound, equal_nan=True):
        raise Wrong(f"{what}: off by {np.nanmax(np.abs(np.subtract(mine, theirs, dtype=np.float64))):.1e}")


def check(op: Any, function: Callable[..., Any], sample: Any) -> None:
    """Run one sample in both, and raise `Wrong` where they differ."""
    if sample.kwargs.get("inplace") or (op.name.endswith("_") and not op.name.startswith("__")):
        raise LeftOut("in place")
    if "out" in sample.kwargs:
        raise LeftOut("out=")
    if sample.kwargs.get("dropout_p"):
        raise LeftOut("its weights are drawn")
    memo: dict[int, Any] = {}
    arguments = mapped((sample.input, tuple(sample.args), dict(sample.kwargs)), translated(memo))
    wrapped = op.gradcheck_wrapper
    their_out = wrapped(op.op, sample.input, *sample.args, **sample.kwargs)
    if any(isinstance(y, torch.Tensor) and (y.is_complex() or y.layout != torch.strided) for y in flat(their_out)):
        raise LeftOut("complex")
    # A sample may say which part of a result is defined: of eigenvectors, say, their absolute values.
    out = wrapped(function, arguments[0], *arguments[1], **arguments[2])
    mine, theirs = (flat(sample.output_process_fn_grad(y)) for y in (out, their_out))
    if len(mine) != len(theirs):
        raise Wrong(f"{len(mine)} results, not {len(theirs)}")
    pairs = list(zip(mine, theirs, strict=True))
    for y, t in pairs:
        check_value(y, t, compared=op.name not in DRAWN)
    if op.name not in DRAWN:
        second = op.supports_gradgrad and title(op) not in NO_SECOND
        check_gradients(pairs, list(memo.values()), min(1 + second, EXACT_ORDERS.get(op.name, 2)))


def check_value(y: Any, t: Any, compared: bool) -> None:
    if not isinstance(t, torch.Tensor):
        if tuple(flat(y)) != tuple(flat(t)) and not (t != t and y != y):
            raise Wrong(f"value: {y!r}, not {t!r}")
        return
    if not isinstance(y, tr.Tensor):
        raise Wrong(f"value: a {type(y).__name__}, not a tensor")
    if y.dtype != dtype_of(t.dtype):
        raise Wrong(f"dtype: {y.dtype}, not {t.dtype}")
    compare(y.detach().numpy(), t, "value", compared)


def check_gradients(pairs: list[tuple[Any, Any]], inputs: list[tuple[Any, Any]], orders: int) -> None:
    """First and second order, by random contractions; an input that has no influence has the gradient zero."""
    pairs = [(y, t) for y, t in pairs if isinstance(t, torch.Tensor) and t.requires_grad]
    leaves = [(t, x) for t, x in inputs if t.requires_grad]
    if not pairs or not leaves:
        return
    if not any(y.requires_grad for y, _ in pairs):
        raise Wrong("first order: no gradient here")
    rng = np.random.default_rng(0)
    mine, theirs = [y for y, _ in pairs], [t for _, t in pairs]
    for order in ("first order", "second order")[:orders]:
        weights = [rng.standard_normal(np.shape(y if t is None else t)) for y, t in zip(mine, theirs, strict=True)]
        mine = contracted_gradient(tr.grad, mine, [x for _, x in leaves], weights, tr.tensor)
        theirs = contracted_gradient(torch.autograd.grad, theirs, [t for t, _ in leaves], weights, torch.tensor)
        for d, t, (leaf, _) in zip(mine, theirs, leaves, strict=True):
            zero = torch.zeros(leaf.shape)
            compare(zero if d is None else d.detach().numpy(), zero if t is None else t, order)


def contracted_gradient(grad: Any, ys: list[Any], xs: list[Any], weights: list[Any], tensor: Any) -> list[Any]:
    """d sum <weight, y> / dx in either library; None where x has no influence."""
    live = [
        (y, tensor(w, dtype=y.dtype)) for y, w in zip(ys, weights, strict=True) if y is not None and y.requires_grad
    ]
    if not live:
        return [None] * len(xs)
    return list(grad([y for y, _ in live], xs, [w for _, w in live], create_graph=True, allow_unused=True))


def measure(op: Any, most: int | None = None) -> Line:
    """Run the samples of an operation, or at most so many of them, evenly spaced."""
    line, function = Line(title(op)), twin(op)
    assert function is not None
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        samples = samples_of(op)
        for sample in samples[:: -(-len(samples) // most) or 1] if most else samples:
            try:
                check(op, function, sample)
            except LeftOut as why:
                line.left_out[str(why)] += 1
                continue
            except Wrong as difference:
                line.wrong += 1
                line.reason = f"WRONG {difference}" if line.wrong == 1 else line.reason
            except Exception as error:
                line.reason = line.reason or f"{type(error).__name__}: {error}".partition("\n")[0]
            else:
                line.run += 1
            line.samples += 1
    return line


def left_out_as(name: str) -> str | None:
    """The kind, in `tinyres.refusals.absent`, of an operation that is out on purpose."""
    return next((kind for part in name.split(".") if (kind := absent.kind_of(part))), None)


def report(lines: list[Line], all_of_them: bool) -> bool:
    """Print the table, and say whether it is good enough."""
    print(f"{'operation':<44} {'samples':>7} {'run':>5} {'wrong':>5}  first reason why not")
    for line in lines:
        print(f"{line.name:<44} {line.samples:>7} {line.run:>5} {line.wrong:>5}  {line.reason[:160]}".rstrip())
    left_out = sum((line.left_out for line in lines), Counter())
    why = ", ".join(f"{n} {reason}" for reason, n in left_out.most_common()) or "none"
    print(f"left out, since tinyres has no such thing: {why}")
    if all_of_them:
        out = Counter(kind for op in op_db() if ours(op.name) is None and (kind := left_out_as(op.name)))
        for kind, n in out.most_common():
            print(f"out on purpose: {n} operations, since {absent.NEAR[kind].partition(':')[0]}")
    samples, run, wrong = (sum(getattr(line, what) for line in lines) for what in ("samples", "run", "wrong"))
    share = run / max(samples, 1)
    print(f"{len(lines)} operations: {run} of {samples} samples run and agree, {share:.1%}; {wrong} wrong")
    return not wrong and share >= ENOUGH


def main(patterns: list[str]) -> int:
    lines = [measure(op) for op in operations(patterns)]
    if not lines:
        print(f"no operation of PyTorch's that is here is called {' or '.join(patterns)}")
        return 2
    return 0 if report(lines, all_of_them=not patterns) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
