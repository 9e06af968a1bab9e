"""Players that are told a class: what they compute, what they draw, and what they refuse."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import models, nn
from tinyres.models.conditional import ConditionalGenerator, ProjectionCritic
from tinyres.models.critic import Critic


def draws(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


def test_the_generator_reads_the_noise_and_then_its_classes_vector():
    net = models.mlp_generator(5, 8, out=2, rng=0)
    g = ConditionalGenerator(net, 4, 2, rng=1)
    z, y = draws(6, 3), np.array([0, 3, 1, 1, 0, 2])
    together = np.concatenate([z, g.embed.weight.numpy()[y]], axis=1)
    np.testing.assert_array_equal(g(tr.tensor(z), tr.tensor(y)).numpy(), net(tr.tensor(together)).numpy())
    assert g.embed.weight.shape == (4, 2)


def test_the_discriminator_adds_the_features_along_its_classes_direction():
    """D(x, y) - head(φ) is linear in φ, and two classes differ by <v_a - v_b, φ>."""
    critic = models.mlp_discriminator(16, inputs=2, rng=0)
    d = ProjectionCritic(critic, 3, rng=1)
    x, y = tr.tensor(draws(5, 2)), np.array([2, 0, 1, 1, 2])
    phi = d.phi(x).numpy().astype("float64")
    table = d.embed.weight.numpy().astype("float64")
    expected = critic(x).numpy() + (phi * table[y]).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(d(x, tr.tensor(y)).numpy(), expected, rtol=2e-5, atol=1e-6)
    assert d(x, tr.tensor(y)).shape == (5, 1)
    assert table.std() == pytest.approx(16**-0.5, rel=0.2)


def test_only_the_vectors_of_the_classes_in_the_batch_get_a_gradient():
    d = ProjectionCritic(models.mlp_discriminator(8, inputs=2, rng=0), 4, rng=1)
    x = tr.tensor(draws(6, 2))
    d(x, tr.tensor(np.array([1, 1, 3, 3, 1, 3]))).sum().backward()
    rows = np.abs(d.embed.weight.grad.numpy()).sum(axis=1)
    assert (rows > 0).tolist() == [False, True, False, True]
    phi = d.phi(x).numpy()
    np.testing.assert_allclose(d.embed.weight.grad.numpy()[1], phi[[0, 1, 4]].sum(axis=0), rtol=1e-5)


@pytest.mark.parametrize("arch", models.PLAYERS)
def test_every_discriminator_can_be_told_a_class(arch):
    shape, width = {"gan64": ((1, 64, 64), 2), "r3gan": ((1, 8, 8), 8)}.get(arch, ((1, 8, 8), 4))
    d = ProjectionCritic(
        models.PLAYERS[arch].discriminator(3, width, shape, "none", np.random.default_rng(0)), 3, rng=0
    )
    x = tr.tensor(draws(4, *shape))
    here, there = (d(x, tr.tensor(np.full(4, c))).numpy() for c in (0, 2))
    assert here.shape == (4, 1)
    assert not np.allclose(here, there)
    with pytest.raises(ValueError, match="needs samples of shape"):
        d(x[:, :, :4], tr.tensor(np.zeros(4, int)))


def test_under_spectral_norm_no_class_makes_the_slope_larger_than_two():
    """Each summand is 1-Lipschitz: the head, and the row of the class, which is no longer than the table's norm."""
    d = nn.spectral_norm(ProjectionCritic(models.mlp_discriminator(16, inputs=2, rng=0), 3, rng=1), rng=2)
    for layer in d.modules():
        if hasattr(layer, "iterate"):
            layer.iterate(200)
    x = tr.tensor(draws(64, 2), requires_grad=True)
    for c in range(3):
        (slope,) = tr.grad(d(x, tr.tensor(np.full(64, c))).sum(), x)
        assert np.linalg.norm(slope.numpy(), axis=1).max() <= 2.0001
    assert np.linalg.norm(d.embed.weight.numpy(), 2) == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize(("make", "said"), [
    (lambda: ProjectionCritic(Critic((2,), nn.Linear(2, 3)), 3), "a Linear layer with one output, got Linear"),
    (lambda: ProjectionCritic(Critic((2,), nn.Linear(2, 1), nn.Tanh()), 3), "a Linear layer with one output, got Tanh"),
    (lambda: ProjectionCritic(models.mlp_discriminator(8), 1), "at least two, got 1"),
    (lambda: ConditionalGenerator(nn.Linear(4, 2), 0, 2), "at least two, got 0"),
])  # fmt: skip
def test_what_cannot_be_told_a_class(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_a_class_that_does_not_exist_is_an_error():
    d = ProjectionCritic(models.mlp_discriminator(8, inputs=2, rng=0), 3, rng=0)
    with pytest.raises(IndexError, match="3"):
        d(tr.tensor(draws(1, 2)), tr.tensor(np.array([3])))
