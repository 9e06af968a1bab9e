"""`tr.kernels("cuda")` in Numba's simulator: a whole training step on the CUDA kernels, without a GPU."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

from tinyres.bench import children

STEP = """
import numpy as np

import tinyres as tr
from tinyres import arrays, nn, optim


def step(rung):
    rng = np.random.default_rng(0)
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3, rng=rng), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(2, 2, rng=rng),
    ).to("float64")
    x = tr.tensor(rng.standard_normal((3, 1, 4, 4)), requires_grad=True)
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    with tr.kernels(rung):
        assert arrays.kernels_for(x.data).__name__ == f"tinyres_kernels.{rung}"
        loss = tr.cross_entropy(net(x), np.array([0, 1, 1]))
        (slope,) = tr.grad(loss, [x], create_graph=True)
        total = loss + (slope * slope).sum()
        total.backward()
        optimizer.step()
    return [total, x.grad, *net.parameters(), *net.buffers()]


for found, expected in zip(step("cuda"), step("im2col"), strict=True):
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-9, atol=1e-11)
print("the same")
"""


@pytest.mark.cudasim
def test_a_training_step_on_simulated_cuda_kernels_is_that_of_whole_array_operations():
    if find_spec("numba_cuda") is None:
        pytest.skip("no simulated training step: numba-cuda is not installed")
    environment = children.environment(NUMBA_ENABLE_CUDASIM="1")  # has to be set before the import
    ran = subprocess.run([sys.executable, "-c", STEP], capture_output=True, text=True, env=environment, timeout=300)
    assert (ran.returncode, ran.stdout) == (0, "the same\n"), ran.stderr
