"""`tr.kernels("check")` holds every kernel of a training against im2col: faults are reported, trainings are not."""

import sys

import numpy as np
import pytest
from tinyres_kernels import cpu

import tinyres as tr
from tinyres import arrays, data, gan, models, nn, optim
from tinyres.arrays import dispatch
from tinyres.training import Diverged, Recipe, prepare


@pytest.fixture
def faulty(monkeypatch):
    """The CPU's convolution gets one element wrong from 86 input channels on."""
    right = {op: getattr(cpu, op) for op in ("conv2d", "conv2d_dx", "conv2d_dw")}

    def plant(op):
        def kernel(*arrays, **keywords):
            out = right[op](*arrays, **keywords)
            if arrays[{"conv2d": 1, "conv2d_dx": 1, "conv2d_dw": 2}[op]].shape[2] >= 86:  # the weight's
                out.flat[out.size // 3] *= 1.01
            return out

        monkeypatch.setattr(cpu, op, kernel)

    return plant


def convolved(channels):
    """A convolution of so many channels, to be run."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, channels, 5, 5)), rng.standard_normal((4, channels, 3, 3))
    x, w = (tr.tensor(a.astype("float32"), requires_grad=True) for a in (x, w))
    return lambda: tr.conv2d(x, w, padding=1)


# -- faults -----------------------------------------------------------------------------------------------------------
def test_a_wrong_kernel_is_reported_where_it_is_wrong(faulty):
    faulty("conv2d")
    convolved(86)()  # nobody looks
    with tr.kernels("check"):
        convolved(85)()
        with pytest.raises(
            tr.KernelDisagreement, match=r"cpu.conv2d \[.*\] in float32 of x \(2, 5, 5, 86\), w \(3, 3, "
        ):
            convolved(86)()


@pytest.mark.parametrize("around", ["check", "cpu"])
@pytest.mark.parametrize("op", ["conv2d_dx", "conv2d_dw"])
def test_the_backward_pass_is_watched_where_its_forward_was(faulty, op, around):
    faulty(op)
    with tr.kernels("check"):
        narrow, wide = (convolved(channels)() for channels in (85, 86))
    with tr.kernels(around):
        (narrow * narrow).sum().backward()
        with pytest.raises(tr.KernelDisagreement, match=op):
            (wide * wide).sum().backward()


def test_a_forward_pass_outside_of_the_block_is_not(faulty):
    faulty("conv2d_dx")
    run = convolved(86)
    y = run().sum()
    with tr.kernels("check"):
        y.backward()


def test_the_second_run_of_a_checkpoint_is_watched(faulty):
    run = convolved(86)
    with tr.kernels("check"):
        y = tr.checkpoint(run).sum()
    faulty("conv2d_dw")
    with pytest.raises(tr.KernelDisagreement, match="conv2d_dw"):
        y.backward()


@pytest.mark.parametrize("make", [optim.SGD, optim.Adam, optim.RMSprop])
def test_an_optimisers_step_is_watched(monkeypatch, make):
    op = make.__name__.lower()
    right = getattr(cpu, op)

    def kernel(p, g, *rest, **keywords):
        out = right(p, g, *rest, **keywords)
        out.flat[0] += 0.01
        return out

    monkeypatch.setattr(cpu, op, kernel)
    p = tr.tensor(np.ones((3, 2)), requires_grad=True)
    (p * p).sum().backward()
    with tr.kernels("check"), pytest.raises(tr.KernelDisagreement, match=f"cpu.{op} "):
        make([p], lr=0.1).step()


@pytest.mark.parametrize("inside", [True, False])
def test_a_sum_of_large_cotangents_goes_by_where_it_runs(monkeypatch, inside):
    right = cpu.add
    monkeypatch.setattr(cpu, "add", lambda a, b, out: np.add(right(a, b, out), 1, out=out))
    x = tr.tensor(np.ones((200, 200)), requires_grad=True)
    with tr.kernels("check"):
        y = (x * 2).sum() + (x * 3).sum()  # the two terms of x's cotangent are added up; nothing as large is before
        if inside:
            with pytest.raises(tr.KernelDisagreement, match=r"cpu.add "):
                y.backward()
    if not inside:
        y.backward()


def test_what_is_watched_is_what_would_have_run():
    with tr.kernels("check"):
        assert arrays.kernels_for(np.ones(3)).__name__ == "tinyres_kernels.cpu, checked"
        assert arrays.kernels_for(np.ones(3, "float16")).__name__ == "tinyres_kernels.im2col, checked"
        with tr.kernels("im2col"):
            assert arrays.kernels_for(np.ones(3)).__name__ == "tinyres_kernels.im2col"


def test_without_hypothesis_it_says_what_is_missing(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("tinyres_kernels.conformance")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    dispatch.kernel_module.cache_clear()
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'tinyres\[conformance\]'"), tr.kernels("check"):
        pass


# -- trainings --------------------------------------------------------------------------------------------------------
def trained(made, rung):
    """All weights after the run."""
    if rung is None:
        list(made.steps())
    else:
        with tr.kernels(rung):
            list(made.steps())
    return [p.numpy() for p in made.model.parameters()]


@pytest.mark.parametrize(
    ("arch", "steps", "settings"),
    [
        ("resnet", 60, {"depth": 8, "width": 4}),
        pytest.param("densenet", 30, {"depth": 10, "width": 4}, marks=pytest.mark.slow),
        pytest.param("preact", 40, {"depth": 8, "width": 4, "activation": "leaky_relu"}, marks=pytest.mark.slow),
        ("mlp", 60, {"optimizer": "adam"}),
    ],
)
@pytest.mark.slow
def test_a_training_is_no_fault_and_the_same_to_the_bit(arch, steps, settings):
    def run():
        return prepare(Recipe(arch=arch, steps=steps, batch_size=12, **settings))

    for watched, plain in zip(trained(run(), "check"), trained(run(), None), strict=True):
        np.testing.assert_array_equal(watched, plain)


@pytest.mark.slow
def test_nor_is_one_with_a_max_pool_and_many_ties():
    """Behind a ReLU there are zeros, and a pool's windows tie."""
    rng = np.random.default_rng(0)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, rng=rng), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1),
        nn.Conv2d(8, 8, 3, padding=1, rng=rng), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32, 10, rng=rng),
    )  # fmt: skip
    optimizer = optim.RMSprop(net.parameters(), lr=1e-3, centered=True, momentum=0.9)
    digits = data.load("digits").train
    with tr.kernels("check"):
        for step in range(200):
            x, y = digits.inputs[8 * step % 1000 :][:8], digits.targets[8 * step % 1000 :][:8]
            optimizer.zero_grad()
            tr.cross_entropy(net(tr.tensor(np.asarray(x, "float32"))), y).backward()
            optimizer.step()


@pytest.mark.parametrize(
    ("method", "settings"),
    [("sn_hinge", {"arch": "dcgan"}), ("wgan_gp", {}), pytest.param("nonsaturating", {}, marks=pytest.mark.slow)],
)
@pytest.mark.slow
def test_nor_is_a_game_of_two_players(method, settings):
    game = gan.prepare(gan.GANRecipe.of(method, "digits", steps=200 // 8, batch_size=16, width=8, **settings))
    with tr.kernels("check"):
        assert len(list(game.steps())) == 25


def test_one_that_diverges_says_so_itself():
    made = prepare(Recipe(arch="resnet", depth=8, width=2, lr=1e6, batch_size=8, steps=30))
    with tr.kernels("check"), pytest.raises(Diverged):
        list(made.steps())


def test_winograds_layers_and_the_wide_ones_go_through():
    """Two steps of a net at the width at which the fast ways begin."""
    net = models.resnet(8, 32, in_channels=3, rng=0)
    x = tr.tensor(np.random.default_rng(0).standard_normal((4, 3, 16, 16)).astype("float32"))
    optimizer = optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    with tr.kernels("check"):
        for _ in range(2):
            optimizer.zero_grad()
            tr.cross_entropy(net(x), np.arange(4)).backward()
            optimizer.step()
