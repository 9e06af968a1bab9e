"""A module of ours beside PyTorch's in float64: the same weights, values, and derivatives of first and second order."""

import numpy as np
import pytest

import tinyres as tr

torch = pytest.importorskip("torch")
TOL = {"rtol": 1e-10, "atol": 1e-10}


def both(module, theirs):
    """The pair in float64 with PyTorch's weights; loading by key is part of what is tested."""
    theirs = theirs.double()
    module.to("float64").load_state_dict(theirs.state_dict())
    return module, theirs


def numbers(value):
    if isinstance(value, torch.Tensor):
        return value.numpy(force=True)
    return value.detach().numpy() if isinstance(value, tr.Tensor) else value


def orders(module, theirs, shape, seed=0):
    """Value, first and second derivatives with random cotangents, ours beside theirs."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    results = []
    for lib in ("ours", "theirs"):
        draw = np.random.default_rng(seed + 1)
        if lib == "ours":
            leaf = tr.tensor(x, requires_grad=True)
            y = module(leaf)
            make, grad = lambda a: tr.tensor(a, requires_grad=True), tr.grad
            inputs = [leaf, *module.parameters()]
        else:
            leaf = torch.tensor(x, requires_grad=True)
            y = theirs(leaf)
            make, grad = lambda a: torch.tensor(a, requires_grad=True), torch.autograd.grad
            inputs = [leaf, *theirs.parameters()]
        g = make(draw.normal(size=tuple(y.shape)))
        first = grad(y, inputs, g, create_graph=True)
        pairing = sum((f * make(draw.normal(size=tuple(f.shape)))).sum() for f in first)
        second = grad(pairing, [g, *inputs], allow_unused=True)
        results.append((y, first, [np.zeros(1) if s is None else s for s in second]))
    for ours, want in zip(*[[r[0], *r[1], *r[2]] for r in results], strict=True):
        ours, want = numbers(ours), numbers(want)
        if ours.shape != want.shape:  # one says None where the other says zeros
            assert not ours.any()
            assert not want.any()
        else:
            np.testing.assert_allclose(ours, want, **TOL)
