"""Checks of single kernels in the simulator, each given the kernel set: the faults that it finds."""

import sys
from unittest import mock

import numpy as np
from tinyres_kernels.contract import OPERATIONS
from tinyres_kernels.settings import Running

# Of each optimiser: its settings, and how many arrays a step reads beside parameter and gradient, and writes.
STEPS = {
    "sgd": ({"lr": 0.1, "momentum": 0.9, "dampening": 0.0, "weight_decay": 0.01, "nesterov": True}, 1),
    "adam": (
        {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.01, "decoupled": True, "step": 3},
        2,
    ),
    "rmsprop": ({"lr": 0.1, "alpha": 0.9, "eps": 1e-8, "weight_decay": 0.01, "momentum": 0.9}, 3),
}


def same_bits(rung):
    rng = np.random.default_rng(0)
    x, g = (rng.standard_normal((2, 5, 5, 4)).astype("float32") for _ in range(2))
    how = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    first, second = (rung.conv2d_dw(x, g, np.empty((3, 3, 4, 4), "float32"), **how) for _ in range(2))
    return [] if first.tobytes() == second.tobytes() else ["two runs gave different bits"]


def counters_back(rung):
    """The next launch finds them as this one did."""
    rng = np.random.default_rng(0)
    x, one = rng.standard_normal((40, 9)), np.ones(9)
    rung.batch_norm(x, one, one, None, np.empty_like(x), *np.empty((2, 9)), eps=0.1, training=True, relu=True)
    given = x, x, None, one, one, x.mean(axis=0), x.var(axis=0), np.empty_like(x), *np.empty((2, 9)), None
    rung.batch_norm_dx(*given, eps=0.1, training=True, relu=True)
    x, how = rng.standard_normal((2, 5, 5, 4)), {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    rung.conv2d_dw(x, x, np.empty((3, 3, 4, 4)), **how)
    kept = sys.modules["tinyres_kernels.cuda.counters"]._kept
    left = [int(line.max()) for line in kept.values()]
    kept.clear()
    return [] if left == [0] else [f"the largest of the counters are {left}"]


def far_mean(rung):
    x = (1e4 + np.random.default_rng(0).standard_normal((50, 3))).astype("float32")
    mean, variance, one = np.empty(3, "f"), np.empty(3, "f"), np.ones(3, "f")
    rung.batch_norm(x, one, one, None, np.empty_like(x), mean, variance, eps=1e-5, training=True, relu=False)
    off = abs(variance / x.astype("float64").var(axis=0) - 1).max()
    return [] if off < 1e-3 else [f"the variance is off by {off:.1e}"]  # E[x^2] - E[x]^2 is off by 8


def each_alone(rung):
    """Each running statistic moves as it does beside the others."""
    x, one = np.random.default_rng(0).standard_normal((21, 3)), np.ones(3)
    how = {"eps": 1e-5, "training": True, "relu": False, "momentum": 0.25}

    def moved(*kept):
        old = [a if there else None for a, there in zip((2 * one, 3 * one, np.array([41])), kept, strict=True)]
        new = [None if a is None else np.full_like(a, -77) for a in old]
        rung.batch_norm(x, one, one, None, np.empty_like(x), np.empty(3), np.empty(3), Running(*old, *new), **how)
        return [None if a is None else a.tolist() for a in new]

    together, names = moved(1, 1, 1), ("mean", "variance", "batches")
    alone = [moved(*(i == k for k in range(3)))[i] for i in range(3)]
    return [f"{names[i]}: {alone[i]}, beside others {together[i]}" for i in range(3) if alone[i] != together[i]]


def first_nan(rung):
    x, index = np.full((1, 2, 2, 1), np.nan), np.empty((1, 1, 1, 1), "int32")
    x[0, 0, 0, 0] = 1.0
    how = {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0), "dilation": (1, 1)}
    rung.max_pool2d(x, np.empty((1, 1, 1, 1)), index, **how)
    return [] if index.item() == 1 else [f"tap {index.item()} won, needed tap 1"]


def of_many(rung, op, real):
    """Parameters of odd sizes, one of them empty, one transposed with a gradient that is not, one with one that is, one
    without a state: the bits of one by one, in as many launches as there are kinds and full tables."""
    settings, kept = STEPS[op]
    rng = np.random.default_rng(0)

    def drawn(shape):
        return 1 + rng.random(shape).astype(real)

    steps = []
    for i, shape in enumerate([(3,), (0,), (17,), (8, 5), (1,), (33,), (5, 7)]):
        p, g, *state = (drawn(shape) for _ in range(2 + kept))
        if i == 3:
            p, state = p.T, [a.T for a in state]
            g = np.ascontiguousarray(g.T)
        if i == 6:
            p, g, *state = (a.T for a in (p, g, *state))
        steps.append((p, g, *([None] * kept if i == 2 else state)))
    name = f"{op.upper()}_ROWS"
    results, counted = [], []
    with (
        mock.patch.object(rung.update, name, 2),
        mock.patch.object(rung.steps, "launch", wraps=rung.host.launch) as launch,
    ):
        for together in (False, True):
            rows = [(*step, *(np.full_like(step[0], np.nan) for _ in range(1 + kept))) for step in steps]
            before = launch.call_count
            if together:
                rung.MANY[op].launch(rows, OPERATIONS[op].settings(**settings))
            else:
                for row in rows:
                    getattr(rung, op)(*row, **settings)
            counted.append(launch.call_count - before)
            results.append([a.tobytes() for row in rows for a in row[2 + kept :]])
    faults = [] if results[0] == results[1] else ["other bits than one by one"]
    return faults if counted == [6, 4] else [*faults, f"{counted} launches, needed [6, 4]"]
