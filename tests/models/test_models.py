"""What is asked of every model: the rows of `table.py`, one after the other."""

import re

import numpy as np
import pytest

import tinyres as tr
from tests.models.float32.compare import drawn
from tests.models.table import ROWS, makers, normal, samples
from tinyres import flow, models, nn
from tinyres.models.dncnn import Denoiser

EVERY = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)


def each(column):
    """A test for each entry of a column: the row, and what the entry says."""
    entries = [(name, row, entry) for name, row in ROWS.items() for entry in getattr(row, column)]
    return [pytest.param(row, *entry, id=f"{name}: {entry[0]}") for name, row, entry in entries]


def test_every_model_has_a_row():
    assert {row.of for row in ROWS.values()} == makers()


@pytest.mark.parametrize(
    ("row", "size", "training"),
    [
        pytest.param(row, size, training, id=f"{name}, {size} pixels, {'training' if training else 'evaluation'}")
        for name, row in ROWS.items()
        for training in (True, False)
        for size in (row.sizes if training else row.sizes[:1])
    ],
)
def test_shapes_and_gradients(row, size, training):
    given, returned = row.shapes(size)
    model = row.make(size).train(training)
    if row.shut:
        drawn(model)
    with flow.record(model) as recording:
        x = samples(4, *given).requires_grad_()
        y = model(x)
        assert y.shape == (4, *returned)
        (y * normal(*y.shape, seed=1)).sum().backward()
    for name, tensor in [("the input", x), *model.named_parameters()]:
        assert tensor.grad is not None, name
        assert np.isfinite(tensor.grad.numpy()).all(), name
        assert tensor.grad.numpy().any(), name
    connections = {name for name, m in model.named_modules() if isinstance(m, (nn.Residual, nn.Highway, Denoiser))}
    assert len(connections) == row.routes
    assert recording.routes.keys() == connections
    assert all(0 < share < 1 for share in (recording.skip_share() if row.routes else {}).values())
    assert len(recording.blocks) == len(list(getattr(model, "blocks", model)))
    assert (recording.gradient_norms() > 0).all()
    if len(given) == 1 and len(returned) == 3 and not row.unlimited:  # a generator of images
        assert 0 < np.abs(y.numpy()).max() <= 1


@EVERY
def test_layers_with_weights(row):
    layers = [m for m in row.make().modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear))]
    assert len(layers) == row.layers


@EVERY
def test_the_same_seed_gives_the_same_net_and_the_same_draws(row):
    a, b, c = (row.make(rng=seed) for seed in (3, 3, 4))
    for (name, p), q, r in zip(a.named_parameters(), b.parameters(), c.parameters(), strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy(), err_msg=name)
        if (p.numpy() != p.numpy().flat[0]).any():  # not a constant
            assert (p.numpy() != r.numpy()).any(), name
    x = samples(4, *row.shapes(row.sizes[0])[0])
    for _ in range(3):
        np.testing.assert_array_equal(a(x).numpy(), b(x).numpy())


class Blank(np.random.Generator):
    """Draws zeros, at once: a net of a hundred million numbers takes a second to draw."""

    def __init__(self):
        super().__init__(np.random.PCG64(0))

    def normal(self, loc=0.0, scale=1.0, size=None):
        return np.zeros(size)

    uniform = standard_normal = normal


def weigh(param):
    """Nets of many millions of numbers, which take a second or two to draw, are slow tests."""
    row, options, _ = param.values
    large = row.of in (models.resnet_imagenet, models.densenet_imagenet) and options["depth"] > 34
    return pytest.param(*param.values, id=param.id, marks=pytest.mark.slow if large else ())


@pytest.mark.parametrize(("row", "options", "published"), [weigh(param) for param in each("counts")])
def test_published_numbers_of_parameters(row, options, published):
    found = row.of(**options, rng=Blank()).parameter_count()
    if isinstance(published, str):
        digits = len(published.removesuffix(" M").partition(".")[2])
        found = f"{found / 1e6:.{digits}f} M"
    assert found == published


@pytest.mark.parametrize(("row", "depth", "nearest"), each("nearest"))
def test_depths_that_do_not_exist(row, depth, nearest):
    message = f"depth must be {row.depths}, got {depth}; {nearest} is nearest"
    with pytest.raises(ValueError, match=re.escape(message)):
        row.of(**row.options | {"depth": depth})


@pytest.mark.parametrize(("row", "message", "options"), each("refused"))
def test_options_that_are_refused(row, message, options):
    with pytest.raises(ValueError, match=message):
        row.of(**row.options | options)


@pytest.mark.parametrize(("row", "message", "shape"), each("unfit"))
def test_samples_of_another_shape_are_refused(row, message, shape):
    with pytest.raises(ValueError, match=message):
        row.make()(tr.tensor(np.zeros(shape, "f")))
