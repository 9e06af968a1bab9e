"""Float32 is tested as float32: every model, on the kernels that users run, against float64 on `im2col`."""

import inspect
import math

import numpy as np
import pytest

from tests.models.float32.compare import (
    assert_within_rounding,
    decided,
    drawn,
    nearest_to_a_kink,
    results,
    settled,
    smooth,
)
from tests.models.float32.rows import QUICK, ROWS
from tinyres import models
from tinyres.arrays import memory

NO_MODELS = {models.swap_activation, models.from_pytorch, models.from_torchvision, models.gpt}  # gpt: symbols, below


def rows(names, quick=QUICK):
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


EVALUATED = (  # one of each kind that has batch norms: the convolutions are those of training
    "plain 20", "resnet 20", "preact 20", "densenet 40, 16 pixels", "senet 20", "stochastic_depth 20", "dncnn 17",
    "dcgan.generator, 32 pixels, width 64", "dcgan.discriminator, 32 pixels, width 64",
    "resgan.generator, 32 pixels, width 64", "resgan.discriminator, norm batch", "mlp_discriminator, norm batch",
)  # fmt: skip

RECTIFIED = (  # each ReLU stands behind a batch norm, or a sum of what batch norms and ReLUs left
    "plain 20", "resnet 20", "resnet 20, shortcut B", "preact 20", "densenet 40, 16 pixels", "densenet 40, BC",
    "resnet_imagenet 18", "dcgan.generator, 32 pixels, width 128", "resgan.generator, 32 pixels, width 64",
)  # fmt: skip

LITTERED = (
    "resnet 20", "densenet 40, 16 pixels", "densenet 40", "dncnn 20, colour", "densenet 100, BC",
    "dcgan.generator, 32 pixels, width 128", "dcgan.generator, 64 pixels, width 128",
    "dcgan.discriminator, 64 pixels, width 64", "resgan.generator, 32 pixels, width 128", "gan64.generator",
    "cnn, 28 pixels",
)  # fmt: skip


@pytest.fixture(autouse=True)
def give_back_what_large_nets_took():
    yield
    memory.release()


def inputs(row):
    return np.random.default_rng(0).standard_normal(row.shape).astype(np.float32)


def test_every_public_model_has_a_row():
    public = [getattr(models, name) for name in models.__all__]
    makers = {value for value in public if inspect.isfunction(value)} - NO_MODELS
    for module in filter(inspect.ismodule, public):
        makers |= {module.generator, module.discriminator}
    assert makers == {row.of for row in ROWS.values()}
    assert ROWS.keys() >= QUICK
    large = {models.resnet_imagenet, models.densenet_imagenet, models.gan64.generator}
    assert {ROWS[name].of for name in QUICK} == makers - large


@pytest.mark.parametrize("name", rows(ROWS))
def test_training(name):
    assert_within_rounding(smooth(drawn(ROWS[name].make())), inputs(ROWS[name]))


@pytest.mark.parametrize("name", rows(EVALUATED, ("resnet 20", "dncnn 17", "dcgan.generator, 32 pixels, width 64")))
def test_evaluation(name):
    x = inputs(ROWS[name])
    assert_within_rounding(settled(smooth(drawn(ROWS[name].make())), x), x)


@pytest.mark.parametrize("name", rows(RECTIFIED, ("resnet 20", "preact 20")))
def test_relus_that_a_batch_norm_fuses(name):
    model, x = decided(drawn(ROWS[name].make())), inputs(ROWS[name])
    assert nearest_to_a_kink(model, x) > 0.1
    assert_within_rounding(model, x)


def littered_empty(shape, dtype=float, order="C"):
    """What `numpy.empty` may give: large numbers, also beside the array. (Finite: some kernels have a way for NaN.)"""
    dtype, shape = np.dtype(dtype), (shape,) if np.ndim(shape) == 0 else shape
    size, beside = math.prod(shape) * dtype.itemsize, 1 << 17
    return np.full(size + 2 * beside, 0x60, np.uint8)[beside : beside + size].view(dtype).reshape(shape, order=order)


@pytest.mark.parametrize("name", rows(LITTERED))
def test_what_memory_held_before_does_not_matter(name, monkeypatch):
    """The fault of 0.1.0 read past its weights: it was right where zeros lay there, as they do in fresh memory."""
    model, x = smooth(drawn(ROWS[name].make())), inputs(ROWS[name])
    plain, _ = results(model, x, "float32")
    memory.release()
    monkeypatch.setattr(np, "empty", littered_empty)  # in what is compiled by now it is NumPy's own
    littered, _ = results(model, x, "float32")
    for layer, numbers in plain.items():
        assert np.isfinite(numbers).all(), layer
        np.testing.assert_array_equal(littered[layer], numbers, err_msg=layer)


def test_gpt_in_float32_against_float64():
    """It reads symbols, so it stands apart from the rows: each gradient within some thousand roundings."""
    index = np.random.default_rng(0).integers(0, 40, (8, 64))
    found = []
    for dtype in ("float32", "float64"):
        model = models.gpt(4, 128, symbols=40, rng=0).to(dtype)
        y = model(index)
        (y * np.random.default_rng(1).standard_normal(y.shape).astype(dtype)).sum().backward()
        found.append([y.detach().numpy(), *(p.grad.numpy() for p in model.parameters())])
    for single, double in zip(*found, strict=True):
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, double, rtol=0, atol=3e-4 * np.abs(double).max())
