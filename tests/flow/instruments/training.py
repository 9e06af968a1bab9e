"""Small trainings that are recorded."""

import numpy as np

import tinyres as tr
from tinyres import nn, optim
from tinyres.ops.losses import cross_entropy


def images(samples=4, seed=0, dtype="float32"):
    rng = np.random.default_rng(seed)
    return tr.tensor(rng.standard_normal((samples, 1, 8, 8)).astype(dtype)), rng.integers(0, 10, samples)


def train(model, recording, steps, inside=True, **settings):
    optimizer = optim.SGD(model.parameters(), **({"lr": 0.1, "momentum": 0.9} | settings))
    for step in range(steps):
        x, target = images(4, step, next(model.parameters()).dtype)
        with recording:
            model.zero_grad()
            cross_entropy(model(x), target).backward()
            if inside:
                optimizer.step()
        if not inside:
            optimizer.step()
    return model


def two_blocks():
    model = nn.Sequential(nn.Sequential(nn.Linear(3, 4, rng=0), nn.ReLU()), nn.Linear(4, 2, rng=1)).to("float64")
    x = np.random.default_rng(0).standard_normal((5, 3))
    return model, x, np.random.default_rng(1).standard_normal((5, 2))
