"""Looks at a game while it is played: closed forms, the whole Jacobian, what reaches G, D's slope, and going on."""

import math

import numpy as np
import pytest

import tinyres as tr
from tinyres import data, flow, gan, nn, optim
from tinyres.flow.instruments import game, watched
from tinyres.flow.instruments.watched import GameWatch
from tinyres.flow.instruments.watched_picture import trusted


class Point(nn.Module):
    """G(z) = theta, whatever the noise."""

    def __init__(self, theta):
        self.theta = nn.Parameter(np.array([[theta]]))

    def forward(self, z):
        return z * 0.0 + self.theta


class Slope(nn.Module):
    """D(x) = psi x."""

    def __init__(self, psi):
        self.psi = nn.Parameter(np.array([[psi]]))

    def forward(self, x):
        return x @ self.psi


def dirac(theta, psi, loss="saturating", **changed):
    """The Dirac-GAN: all data at 0, all fakes at theta."""
    g, d = Point(theta), Slope(psi)
    settings = {"optimizer_g": optim.SGD(g.parameters(), 0.1), "optimizer_d": optim.SGD(d.parameters(), 0.1)}
    settings |= {"loss": gan.LOSSES[loss], "batch_size": 4, "latent": 1, "total": 6}
    return gan.GANTrainer(g, d, data.Dataset(np.zeros((40, 1)), np.zeros(40)), **settings | changed)


def looked(trainer, every=1):
    watch = GameWatch(trainer, every)
    watch.look()
    return watch.history()


@pytest.mark.parametrize("penalty", [None, "r1", "r2", "r1r2"])
def test_the_dirac_gan(penalty):
    """With a = psi theta, s = sigmoid: v = (s(a) psi, -s(a) theta - gamma psi), and J by hand."""
    theta, psi, gamma = 0.7, -0.4, 0.6
    found = looked(dirac(theta, psi, penalty=gan.PENALTIES.get(penalty or ""), penalty_weight=gamma))
    s = 1 / (1 + math.exp(-theta * psi))
    ds, count = s * (1 - s), {None: 0, "r1": 1, "r2": 1, "r1r2": 2}[penalty]
    J = np.array([
        [ds * psi**2, ds * theta * psi + s],
        [-ds * theta * psi - s, -ds * theta**2 - gamma * count],
    ])  # fmt: skip
    v = np.array([s * psi, -s * theta - gamma * count * psi])
    S, A, size = (J + J.T) / 2, (J - J.T) / 2, np.linalg.norm(v)
    values = np.linalg.eigvals(J)
    order = np.argsort(-np.abs(values))
    assert found["field"][0] == pytest.approx(size, rel=1e-9)
    assert found["consensus"][0] == pytest.approx(np.linalg.norm(S @ v) / size, rel=1e-9)
    assert found["turning"][0] == pytest.approx(np.linalg.norm(A @ v) / size, rel=1e-9)
    assert found["rotation"][0] == pytest.approx((A**2).sum() / (J**2).sum(), rel=1e-9)
    np.testing.assert_allclose(np.sort(found["eigenvalue_real"][0, :2]), np.sort(values[order].real), rtol=1e-9)
    np.testing.assert_allclose(np.abs(found["eigenvalue_imag"][0, :2]), np.abs(values[order].imag), atol=1e-9)
    assert np.isnan(found["eigenvalue_real"][0, 2:]).all()


@pytest.mark.parametrize("loss", ["saturating", "relativistic", "wasserstein"])
def test_slopes_pulls_and_how_sure_d_is(loss):
    """D's slope is |psi| everywhere; a loss pulls G by its closed form times psi; D is right where psi theta < 0."""
    theta, psi = 0.7, -2.0
    found = looked(dirac(theta, psi, loss))
    for name in ("slope_real", "slope_between", "slope_fake"):
        assert found[name].tolist() == [pytest.approx(2.0)]
    a = theta * psi
    s = lambda x: 1 / (1 + math.exp(-x))
    pulls = {"saturating": s(a), "nonsaturating": s(-a), "least_squares": abs(a - 1), "hinge": 1.0, "wasserstein": 1.0}
    pulls |= {"relativistic": s(-a)} if loss == "relativistic" else {}
    assert found.labels["loss"] == list(pulls)
    np.testing.assert_allclose(found["gradient"][0], [2.0 * pull for pull in pulls.values()], rtol=1e-9)
    assert found["right"].tolist() == [1.0]
    assert found["confidence"][0] == pytest.approx((0.5 + 1 - s(a)) / 2)
    assert looked(dirac(theta, -psi))["right"].tolist() == [0.0]
    assert looked(dirac(0.0, psi))["right"].tolist() == [0.5]


class Bowl(Slope):
    """D(x) = psi x²."""

    def forward(self, x):
        return x * x * self.psi


@pytest.mark.parametrize("penalty", ["r2", "r1r2"])
def test_a_penalty_at_the_fakes_moves_with_g(penalty):
    """|dD/dx|² / 2 = 2 psi² theta² at the fake, so D's field holds -4 gamma psi theta², which depends on theta."""
    theta, psi, gamma = 0.7, -0.4, 0.6
    trainer = dirac(theta, psi, penalty=gan.PENALTIES[penalty], penalty_weight=gamma)
    trainer.discriminator = Bowl(psi)
    found = looked(trainer)
    s = 1 / (1 + math.exp(-psi * theta**2))
    ds = s * (1 - s)
    J = np.array([
        [ds * (2 * psi * theta) ** 2 + 2 * s * psi, 2 * ds * psi * theta**3 + 2 * s * theta],
        [-2 * ds * psi * theta**3 - 2 * s * theta - 8 * gamma * psi * theta, -ds * theta**4 - 4 * gamma * theta**2],
    ])  # fmt: skip
    values = np.linalg.eigvals(J)
    np.testing.assert_allclose(np.sort(found["eigenvalue_real"][0, :2]), np.sort(values.real), rtol=1e-9)
    A = (J - J.T) / 2
    assert found["rotation"][0] == pytest.approx((A**2).sum() / (J**2).sum(), rel=1e-9)


def test_the_slope_is_taken_where_it_says():
    """D = x² has the slope 2 |x|: 0 at the data, theta halfway, 2 theta at the fakes."""
    trainer = dirac(0.7, 1.0)
    d = Bowl(1.0)
    trainer.discriminator = d
    found = looked(trainer)
    assert [found[f"slope_{where}"][0] for where in ("real", "between", "fake")] == pytest.approx([0, 0.7, 1.4])


def test_many_parameters_against_the_whole_matrix(monkeypatch):
    """Estimates from 16 products, and the field's change, beside the matrix that is written down."""
    recipe = gan.GANRecipe.of("r3gan", "ring8", width=4, batch_size=16, steps=3)
    ring = gan.real_data("ring8")
    trainer = gan.prepare(recipe, data.Dataset(ring.inputs.astype("float64"), ring.targets, "ring8", 8))
    for player in trainer.modules.values():
        player.to("float64")
    watch = GameWatch(trainer, 1)
    next(trainer.steps())
    watch.look()
    found = watch.history()
    monkeypatch.setattr(game, "DENSE", 10**6)
    players = [list(player.parameters()) for player in (trainer.generator, trainer.discriminator)]
    exact = flow.game_spectrum(watch._game, *players)
    for name in ("consensus", "turning", "field"):
        assert found[name][0] == pytest.approx(float(exact[name]), rel=1e-8)
    assert found["rotation"][0] == pytest.approx(float(exact["rotation"]), abs=0.3)
    values = exact["eigenvalues"]
    estimates = found["eigenvalue_real"][0] + 1j * found["eigenvalue_imag"][0]
    outermost = np.abs(values).max()
    assert np.abs(estimates[0]) == pytest.approx(outermost, rel=0.02)
    good = ~np.isnan(trusted(found)[0][0])
    assert good.sum() >= 2
    assert max(np.abs(values - value).min() for value in estimates[good]) < 0.1 * outermost


def test_ritz_values_and_their_residuals():
    rng = np.random.default_rng(0)
    q = np.linalg.qr(rng.standard_normal((60, 60)))[0]
    matrix = q @ np.diag([9.0, -7.0, *rng.uniform(-1, 1, 58)]) @ q.T
    start = rng.standard_normal(60)
    values, residuals = game.ritz(lambda u: matrix @ u, start, 12)
    assert (len(values), values.dtype) == (12, np.dtype(complex))
    for wanted in (9.0, -7.0):
        i = np.abs(values - wanted).argmin()
        assert abs(values[i] - wanted) <= residuals[i] + 1e-9
        assert residuals[i] < 1e-3
    assert residuals.max() > 0.05  # the inner ones are poor, and say so
    one = np.array([[0.0, 2.0], [-2.0, 0.0]])
    values, residuals = game.ritz(lambda u: one @ u, np.array([1.0, 0.0]), 10)
    np.testing.assert_allclose(np.sort(values.imag), [-2, 2], atol=1e-12)
    np.testing.assert_allclose(residuals, 0, atol=1e-12)
    values, _ = game.ritz(lambda u: 3.0 * u, start, 5)  # the space is closed after the first
    np.testing.assert_allclose(values, [3.0])


def content(trainer):
    found = {f"{m}.{k}": v.numpy() for m, module in trainer.modules.items() for k, v in module.state_dict().items()}
    return found | {"history": np.array(trainer.history)}


@pytest.mark.parametrize("change", [
    {"method": "sn_hinge"},
    pytest.param({"method": "r3gan", "conditional": True}, marks=pytest.mark.slow),
    pytest.param({"method": "nonsaturating"}, marks=pytest.mark.slow),
    pytest.param({"method": "wgan_gp", "arch": "mlp"}, marks=pytest.mark.slow),
], ids=str)  # fmt: skip
def test_a_look_changes_nothing_and_goes_on_after_a_resume(change, tmp_path):
    """Batch norm's statistics, u and v of spectral norm, and all draws stay; the file holds what was seen."""
    recipe = gan.GANRecipe.of(**change, data="digits", width=8, batch_size=8, steps=4)
    alone = gan.prepare(recipe)
    list(alone.steps())

    def watching(trainer, stop):
        watch = GameWatch(trainer, 2, trainer.notes)
        if watch.due:
            watch.look()
        for _ in trainer.steps():
            if watch.due:
                watch.look()
            if trainer.step == stop:
                break
        trainer.notes = watch.notes()
        return watch

    whole = gan.prepare(recipe)
    seen = watching(whole, 4).history()
    assert seen.labels["step"] == [0, 2, 4]
    for name, value in content(alone).items():
        np.testing.assert_array_equal(content(whole)[name], value, err_msg=name)
    for stop in (2, 3):  # right after a look, and between two of them
        begun = gan.prepare(recipe)
        watching(begun, stop)
        gan.save(begun, tmp_path / "run")
        again = gan.resume(gan.prepare(recipe), tmp_path / "run")
        watch = watching(again, 4)
        for name, value in seen.items():
            np.testing.assert_array_equal(watch.history()[name], value, err_msg=name)
        for player, layers in watch.layers().items():
            assert layers.labels["step"] == [0, 2, 4]
            assert layers["backward_norm"].shape == (3, len(layers.labels["block"]))
            first = 1 if change.get("arch") == "mlp" and player == "D" else 0  # it flattens what needs no gradient
            assert np.isfinite(layers["backward_norm"][:, first:]).all(), player
        gan.save(whole, tmp_path / "whole")
        gan.save(again, tmp_path / "again")
        a, b = (tr.load(tmp_path / name) for name in ("whole", "again"))
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_players_that_diverge_are_still_looked_at():
    trainer = dirac(0.7, 1.0)
    trainer.generator.theta.data = np.array([[np.inf]])
    found = looked(trainer)
    assert np.isnan(found["field"][0])
    assert np.isnan(found["eigenvalue_real"]).all()
    found.plot()


def test_what_is_refused():
    trainer = dirac(0.7, 1.0)
    with pytest.raises(ValueError, match="every must be at least 1, got 0"):
        GameWatch(trainer, 0)
    watch = GameWatch(trainer, 1)
    watch.look()
    arrays, about = watch.notes()
    for bad, said in (
        ((arrays, about | {"steps": [3]}), "at most 0"),
        ((arrays, about | {"losses": ["hinge"]}), "losses are"),
        ((arrays, about | {"players": {}}), "no recording of the player D"),
        (({k: v for k, v in arrays.items() if k != "game.right"}, about), "right is missing"),
    ):
        with pytest.raises(ValueError, match=said):
            GameWatch(trainer, 1, bad)
    assert watched.every((arrays, about)) == 1


def test_its_charts_and_its_picture():
    trainer = dirac(0.7, -2.0)
    watch = GameWatch(trainer, 1)
    watch.look()
    for _ in trainer.steps():
        watch.look()
    found, charts = watch.history(), watch.curves()
    assert set(charts) == {"D", "G"} == set(watch.layers())
    by_title = {title: lines for of in charts.values() for title, lines, _ in of}
    np.testing.assert_array_equal(by_title["D's slope, mean |dD/dx|"]["at fakes"], found["slope_fake"])
    largest = by_title["eigenvalues of the game's Jacobian"]["largest real part"]
    np.testing.assert_allclose(largest, np.nanmax(found["eigenvalue_real"], axis=1))
    assert len(found.plot().axes) == 5
