"""Float32 is tested as float32: every model, on the kernels that users run, against float64 on `im2col`."""

import inspect

import numpy as np
import pytest

from tests.models.float32.compare import (
    assert_within_rounding,
    decided,
    drawn,
    nearest_to_a_kink,
    norms,
    settled,
    smooth,
)
from tests.models.float32.rows import ROWS
from tinyres import models

NO_MODELS = {models.swap_activation, models.from_torchvision}
NAMES = [pytest.param(name, marks=pytest.mark.slow) if row.slow else name for name, row in ROWS.items()]

RECTIFIED = (  # each ReLU stands behind a batch norm, or a sum of what batch norms and ReLUs left
    "plain 20", "resnet 20", "resnet 20, shortcut B", "preact 20", "densenet 40, 16 pixels", "densenet 40, BC",
    "resnet_imagenet 18", "densenet_imagenet 121",
    "dcgan.generator, 32 pixels, width 128", "resgan.generator, 32 pixels, width 64", "gan64.generator",
)  # fmt: skip


def inputs(row):
    return np.random.default_rng(0).standard_normal(row.shape).astype(np.float32)


def test_every_public_model_has_a_row():
    public = [getattr(models, name) for name in models.__all__]
    makers = {value for value in public if inspect.isfunction(value)} - NO_MODELS
    for module in filter(inspect.ismodule, public):
        makers |= {module.generator, module.discriminator}
    assert makers == {row.of for row in ROWS.values()}


@pytest.mark.parametrize("name", NAMES)
def test_training(name):
    assert_within_rounding(smooth(drawn(ROWS[name].make())), inputs(ROWS[name]))


def with_running_statistics():
    """The first row of each model that has batch norms: the convolutions are those of training."""
    first = {row.of: name for name, row in reversed(ROWS.items())}
    return [name for name in ROWS if name in first.values() and norms(ROWS[name].make())]


@pytest.mark.parametrize("name", with_running_statistics())
def test_evaluation(name):
    x = inputs(ROWS[name])
    assert_within_rounding(settled(smooth(drawn(ROWS[name].make())), x), x)


@pytest.mark.parametrize("name", RECTIFIED)
def test_relus_that_a_batch_norm_takes_along(name):
    model, x = decided(drawn(ROWS[name].make())), inputs(ROWS[name])
    assert nearest_to_a_kink(model, x) > 0.1
    assert_within_rounding(model, x)
