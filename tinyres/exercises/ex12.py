"""A slope can be part of a loss: the backward pass is recorded, so it can be differentiated by the weights.

With ∇f(x_i) the gradient of sample i's score with respect to that sample, the price is the mean of
max(0, |∇f(x_i)| - 1)².
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import tinyres as tr
from tinyres.exercises.expect import expect, explain, function

Critic = Callable[[Any], Any]
SAMPLES, INPUTS, HIDDEN = 12, 3, 5


def check(answer: Callable[[Critic, Any], Any]) -> None:
    """Check answer(critic, x) and its gradient with critics whose slopes are known in closed form."""
    one_sided = function(answer, "one_sided(critic, x)")
    for column in (False, True):
        rng = np.random.default_rng(column)
        x = rng.standard_normal((SAMPLES, INPUTS))
        first, second = rng.standard_normal((INPUTS, HIDDEN)), rng.standard_normal((HIDDEN, 1))
        weights = [tr.tensor(part, requires_grad=True) for part in (first, second)]
        _hold(one_sided(partial(_scores, weights, column), x.copy()), weights, x)


def _scores(weights: list[Any], column: bool, x: Any) -> Any:
    first, second = weights
    y = tr.tanh(x @ first) @ second  # (N, 1)
    return y if column else y.reshape(-1)


def _slopes(weights: list[Any], x: Any) -> Any:
    """|∇f(x_i)| by hand, (N, 1): ∇f(x) = W ((1 - tanh²(x W)) v)."""
    first, second = weights
    t = tr.tanh(x @ first)
    gradient = ((1 - t * t) * second.reshape(-1)) @ tr.transpose(first)
    return tr.sqrt((gradient * gradient).sum(axis=1, keepdims=True))


def _hold(came: Any, weights: list[Any], x: Any) -> None:
    slopes = _slopes(weights, x)
    needed = (tr.relu(slopes - 1) ** 2).mean()
    value = np.asarray(came.detach().numpy() if isinstance(came, tr.Tensor) else came, dtype=float)
    assert value.size == 1, f"one number is needed, the mean over samples; got shape {value.shape}"
    price, said = value.item(), "the price came out as {}, expected {}"
    expect(price, needed.item(), "one_sided(critic, x)", lambda: _hint(price, slopes.numpy()[:, 0]), said=said)
    assert isinstance(came, tr.Tensor), (
        f"the price is right, but it is a {type(came).__name__}: a tensor is needed, to be differentiated again"
    )
    hint = "Ask for the inner gradient with create_graph=True, and use only tensors after that."
    assert came.requires_grad, f"the price is right, but has no gradient with respect to the critic's weights. {hint}"
    found = tr.grad(came, weights, allow_unused=True)
    for gradient, wanted in zip(found, tr.grad(needed, weights), strict=True):
        right = gradient is not None and np.allclose(gradient.numpy(), wanted.numpy(), rtol=1e-6, atol=1e-9)
        assert right, f"the price is right, but not its gradient with respect to the critic's weights. {hint}"


def _hint(value: float, n: Any) -> str:
    excess = np.maximum(n - 1, 0)
    said = {
        "The two-sided price: here a slope below 1 must cost nothing.": ((n - 1) ** 2).mean(),
        "That is the sum over samples: take the mean.": (excess**2).sum(),
        "The square is missing.": excess.mean(),
        "That is for |∇f|² in place of |∇f|: the root is missing.": (np.maximum(n**2 - 1, 0) ** 2).mean(),
        "The norm was taken over the whole batch; each sample has its own.": max(np.sqrt((n**2).sum()) - 1, 0) ** 2,
        "The slopes were averaged first; the price is each sample's own.": max(n.mean() - 1, 0) ** 2,
        "Each slope came out N times too small: differentiate the sum of the scores, not their mean.": (
            np.maximum(n / len(n) - 1, 0) ** 2
        ).mean(),
    }
    otherwise = (
        "Row i of the gradient of the summed scores with respect to x is ∇f(x_i); its length is a sum over that row."
    )
    return explain(value, ((mistake, sentence) for sentence, mistake in said.items()), otherwise, rel=1e-4, floor=1e-12)


__all__ = ["check"]
