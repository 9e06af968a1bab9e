"""PyTorch's functions for the rows of `table_names.py`, `table_linalg.py` and `table_layers.py` in tests/ops."""

import math

import numpy as np
import torch

from tests.ops.table_layers import CASES, called
from tests.ops.table_loss_options import EACH, LOSS_CASES
from tests.ops.table_names import DIAGONAL, INDEX, PLACES


def names():
    yield from {
        "expm1": torch.expm1, "sin": torch.sin, "cos": torch.cos, "tan": torch.tan,
        "rounded: to a decimal": lambda x: torch.round(x, decimals=1) + 0 * x,
        "floor_divide": lambda a, b: torch.div(a, b, rounding_mode="floor") + 0 * a + 0 * b,
        "remainder": torch.remainder, "remainder: of a number": lambda x: torch.remainder(torch.full_like(x, 2), x),
        "add: alpha": lambda a, b: torch.add(a, b, alpha=2.5), "clamp: tensors": torch.clamp,
        "std": lambda x: torch.std(x, 0), "sort": lambda x: torch.sort(x, 0).values,
        "topk": lambda x: torch.topk(x, 2).values, "prod: with a zero": torch.prod,
        "gather": lambda x: torch.gather(x, 0, torch.as_tensor(INDEX)),
        "scatter": lambda x, src: torch.scatter(x, 0, torch.as_tensor(PLACES), src[:, :4]),
        "scatter: a number": lambda x: torch.scatter(x, 0, torch.as_tensor(PLACES), 0.5),
        "added by gather's index": lambda x, src: torch.scatter_add(x, 0, torch.as_tensor(INDEX), src),
        "index_select": lambda x: torch.index_select(x, 1, torch.tensor([2, 0, 2])),
        "masked_fill": lambda x: torch.masked_fill(x, torch.as_tensor(DIAGONAL), 7.0),
        "repeat": lambda x: x.repeat(2, 1, 3), "tile": lambda x: torch.tile(x, (3,)),
        "roll": lambda x: torch.roll(x, (1, -1), (0, 1)), "diagonal": lambda x: torch.diagonal(x, 1, -1, 0),
        "diag of a vector": lambda x: torch.diag(x, -1), "diag of a matrix": lambda x: torch.diag(x, 1),
        "diag_embed": lambda x: torch.diag_embed(x, 1), "trace": torch.trace, "tril": lambda x: torch.tril(x, 1),
        "triu": lambda x: torch.triu(x, -1), "outer": torch.outer,
    }.items()  # fmt: skip
    for how in ("floor", "ceil", "trunc", "round"):
        yield f"rounded: {how}", lambda x, how=how: getattr(torch, how)(x) + 0 * x
    for p in (1, 2, 3.5, math.inf, -math.inf):
        yield f"norm {p}", lambda x, p=p: torch.norm(x, p, -1)
    for name in ("max", "min"):
        yield f"{name}: values", lambda x, name=name: getattr(torch, name)(x, 1).values
        yield f"{name}: values kept", lambda x, name=name: getattr(torch, name)(x, 0, keepdim=True).values
    for name in ("prod", "cumprod"):
        for axis in (0, -1):
            yield f"{name}: axis {axis}", lambda x, name=name, axis=axis: getattr(torch, name)(x, axis)


def squares(*factors):
    return tuple(f * f for f in factors)


def svd(x):
    u, s, v = torch.linalg.svd(x, full_matrices=False)
    return u * u, s, v * v


def factorisations():
    theirs = torch.linalg
    yield from {
        "solve": theirs.solve, "solve: a vector": theirs.solve,
        "solve: from the right": lambda a, b: theirs.solve(a, b, left=False), "inv": theirs.inv, "det": theirs.det,
        "cofactors": lambda x: theirs.det(x)[..., None, None] * theirs.inv(x).mT,
        "logabsdet": lambda x: theirs.slogdet(x).logabsdet,
        "cholesky": lambda x: theirs.cholesky(x @ x.T + torch.eye(3, dtype=x.dtype)),
        "eigh": lambda x: (theirs.eigh(x + x.T)[0], theirs.eigh(x + x.T)[1] ** 2),
        "eigh: values": lambda x: theirs.eigvalsh(x + x.T), "qr": lambda x: squares(*theirs.qr(x)),
        # PyTorch has no derivative of a wide one.
        "qr: wide": lambda x: (lambda q, r: squares(q, torch.cat([r, q.T @ x[:, 2:]], 1)))(*theirs.qr(x[:, :2])),
        "norm nuc": lambda x: theirs.norm(x, "nuc"), "matrix_norm 1": lambda x: theirs.matrix_norm(x, 1),
    }.items()  # fmt: skip
    for case in ("tall", "square", "wide"):
        yield f"svd: {case}", svd
        yield f"svdvals: {case}", theirs.svdvals


def layers():
    for case in ("weight and bias", "a weight", "alone"):
        yield (
            f"layer_norm: {case}",
            lambda x, *more: torch.nn.functional.layer_norm(x, (4,), *more, eps=1e-3),
        )
    for case in ("a weight", "alone"):
        yield f"rms_norm: {case}", lambda x, *w: torch.nn.functional.rms_norm(x, (4,), *w, eps=0.1)

    def convert(value):
        return torch.as_tensor(value) if isinstance(value, np.ndarray) else value

    for name, case in (CASES | LOSS_CASES).items():
        yield name, called(case, torch.nn.functional, convert)
    # PyTorch's own has no derivative in its target.
    yield (
        "binary_cross_entropy, weights",
        lambda p, t: torch.mean(torch.as_tensor(EACH) * -(t * torch.log(p) + (1 - t) * torch.log1p(-p))),
    )
