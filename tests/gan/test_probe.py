"""The probe: what every loss tells G at one and the same D."""

import math

import numpy as np
import pytest
from matplotlib.figure import Figure

import tinyres as tr
from tinyres import data, gan, models, nn
from tinyres.gan import pictures
from tinyres.gan.losses import OF_FAKES
from tinyres.gan.probe import REFERENCE, Shift, draw, gaussians

STEPS = (0, 1, 10, 100)


class Logistic(nn.Module):
    """a = w x + b on the first coordinate: the family that holds the best discriminator of two Gaussians."""

    def __init__(self, w, b):
        self.w, self.b = nn.Parameter(np.array([[w], [0.0]])), nn.Parameter(np.array([b]))

    def forward(self, x):
        return x @ self.w + self.b


def best(distance):
    """log p_real/p_fake = d²/2 - d x for N(0, 1) against N(d, 1)."""
    return Logistic(-distance, distance**2 / 2)


@pytest.mark.parametrize("distance", [1.0, 4.0])
def test_at_the_best_discriminator_the_norms_are_law_e1(distance):
    """d A, d (1 - A), d and d: with A by quadrature; the figure's own samples make up the tolerance."""
    generator, dataset = gaussians(distance)
    (point,) = gan.probe(generator, best(distance), dataset, latent=2, steps=[0], samples=40_000)
    x = np.linspace(-12, 12, 4001) + distance
    density = np.exp(-((x - distance) ** 2) / 2) / math.sqrt(2 * math.pi)
    a = np.trapezoid(density / (1 + np.exp(distance * x - distance**2 / 2)), x)
    for name, pull in {"saturating": a, "nonsaturating": 1 - a, "hinge": 1, "wasserstein": 1}.items():
        assert point.norms[name] == pytest.approx(distance * pull, rel=0.04), name
    assert point.d_fake == pytest.approx(a, rel=0.04)
    assert point.confidence == pytest.approx(1 - a, rel=0.01)  # the two are each other's mirror image
    assert all(value == pytest.approx(1) for pair, value in point.cosines.items())


def test_gradients_against_grad_itself():
    generator = models.mlp_generator(2, 8, rng=0).to("float64")
    discriminator = models.mlp_discriminator(8, rng=1).to("float64")
    dataset = data.ring(100, dtype="float64")
    (point,) = gan.probe(generator, discriminator, dataset, latent=2, steps=[0], samples=30, seed=2)
    rng = np.random.default_rng(np.random.SeedSequence(2, spawn_key=(1,)))
    rng.permutation(100)
    fake = discriminator(generator(tr.tensor(rng.standard_normal((30, 2)))))
    flat = {}
    for name, loss in OF_FAKES.items():
        grads = tr.grad(loss.generator(fake), generator.parameters(), retain_graph=True)
        flat[name] = np.concatenate([g.numpy().ravel() for g in grads])
        assert point.norms[name] == pytest.approx(np.linalg.norm(flat[name]), rel=1e-12)
    assert len(point.cosines) == math.comb(len(OF_FAKES), 2)
    for (a, b), cosine in point.cosines.items():
        expected = flat[a] @ flat[b] / np.linalg.norm(flat[a]) / np.linalg.norm(flat[b])
        assert cosine == pytest.approx(expected, rel=1e-9)
    assert point.cosines["hinge", "wasserstein"] == pytest.approx(1, abs=1e-12)
    assert len({round(c, 6) for c in point.cosines.values()}) > 3, "the losses weigh the samples differently"


def test_a_surer_discriminator_starves_the_saturating_loss_alone():
    generator, dataset = gaussians(4.0)
    discriminator = models.mlp_discriminator(32, rng=0)
    seen, how = [], {"lr": 1e-2, "batch_size": 128}
    points = gan.probe(generator, discriminator, dataset, latent=2, steps=STEPS, tick=seen.append, **how)
    assert [p.step for p in points] == list(STEPS)
    assert seen == list(range(1, 101))
    assert points[0].confidence < 0.7
    assert points[-1].confidence > 0.93
    last = points[-1].norms
    assert last["saturating"] < 0.25
    assert last["saturating"] < 0.1 * min(last["nonsaturating"], last["wasserstein"])
    assert points[-1].d_loss < 0.4 < math.log(4)


def test_neither_player_is_touched_and_the_seed_decides():
    recipe = gan.GANRecipe.of("nonsaturating", "digits", width=4)
    generator, discriminator = gan.players(recipe)
    before = [v.numpy().copy() for m in (generator, discriminator) for v in m.state_dict().values()]
    digits = gan.real_data("digits")
    runs = [
        gan.probe(generator, discriminator, digits, latent=recipe.latent, steps=(0, 3), samples=64, seed=seed)
        for seed in (1, 1, 2)
    ]
    after = [v.numpy() for m in (generator, discriminator) for v in m.state_dict().values()]
    for x, y in zip(before, after, strict=True):
        np.testing.assert_array_equal(x, y, strict=True)
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert runs[0][0].norms != runs[0][1].norms


def test_a_gradient_without_length_has_no_direction():
    """A discriminator that ignores its input pulls nowhere: NaN, and null in JSON's hands."""
    (point,) = gan.probe(Shift((1.0, 0.0)), Logistic(0.0, 1.0), data.ring(50), latent=2, steps=[0], samples=20)
    assert set(point.norms.values()) == {0.0}
    assert all(math.isnan(c) for c in point.cosines.values())
    with pytest.raises(ValueError, match="probe: needs numbers of steps of at least 0"):
        gan.probe(Shift((1.0, 0.0)), Logistic(0.0, 1.0), data.ring(50), latent=2, steps=[])


def test_the_picture_and_its_file(tmp_path):
    generator, dataset = gaussians()
    points = gan.probe(generator, best(4.0), dataset, latent=2, steps=(0, 2), samples=50)
    pictures.write(tmp_path / "probe.png", draw, points, "two Gaussians")
    assert (tmp_path / "probe.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["probe.png"]
    figure = Figure()
    draw(figure, points, "two Gaussians")
    low, high = figure.axes[1].get_ylim()
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert shown == ["saturating", "non-saturating", "least squares", "hinge and Wasserstein"]
    assert len({line.get_color() for line in figure.axes[0].lines}) == len(shown)
    assert (low <= 0.85, high) == (True, 1.01)  # an axis on which a cosine of .999 looks like 1
    for p in points:
        assert p.confidence == pytest.approx((p.d_real + (1 - p.d_fake)) / 2)
    document = points[0].to_json()
    assert document["confidence"] == points[0].confidence
    assert f"saturating, {REFERENCE}" in document["cosine"]
