"""The denoiser: decibels are right, the filter is the best of its kind, and little training already beats it."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from tinyres import data
from tinyres.lab.experiment import Options
from tinyres.lab.trained import denoise


def test_decibels():
    clean = np.zeros((2, 1, 4, 4), np.float32)
    assert denoise.psnr(clean + 0.1, clean) == pytest.approx(20)
    images = np.random.default_rng(0).random((500, 1, 8, 8), np.float32)
    noisy = denoise.noisy(images, np.random.default_rng(1))
    assert noisy.dtype == np.float32
    assert denoise.psnr(noisy, images) == pytest.approx(-20 * np.log10(denoise.SD), abs=0.1)


def test_the_filter_is_tuned_and_blurs_each_image_by_itself():
    clean = data.digits(seed=0).train.inputs
    width = denoise.tuned(clean, np.random.default_rng(0))
    images = denoise.noisy(clean, np.random.default_rng(0))
    best = denoise.psnr(denoise.gaussian(images, width), clean)
    assert all(best >= denoise.psnr(denoise.gaussian(images, width + step), clean) for step in (-0.1, -0.05, 0.05, 0.1))
    assert best > denoise.psnr(images, clean) + 2
    lone = np.zeros((2, 2, 8, 8), np.float32)
    lone[0, 0, 4, 4] = 1
    blurred = denoise.gaussian(lone, width)
    assert blurred[0, 0].sum() == pytest.approx(1, rel=1e-5)
    assert not blurred[0, 1].any()
    assert not blurred[1].any()


@pytest.mark.parametrize(("residual", "ok"), [(18.1, True), (17.9, False), (14.0, False)])
def test_the_verdict_can_fail(residual, ok):
    decibels = {"noisy": 12.0, "filter": 15.0, "learns noise": residual, "learns image": 19.0}
    assert denoise.laws(decibels)[0].ok is ok


def test_the_net_learns_the_noise():
    """Fitted to flat grey images, it takes all of the noise away but what a mean over its field leaves."""
    grey = np.full((16, 1, 8, 8), 0.5, np.float32)
    setting = denoise.Setting(depth=3, width=8, steps=60, batch=16, rate=0.01)
    ticks = []
    net = denoise.train(setting, lambda: grey, residual=True, seed=(0,), tick=lambda: ticks.append(1))
    noisy = denoise.noisy(grey, np.random.default_rng(0))
    assert denoise.psnr(net(noisy), grey) > denoise.psnr(noisy, grey) + 6
    assert len(ticks) == 60
    np.testing.assert_array_equal(net(noisy), net(noisy))  # running statistics, no longer the batch's


@pytest.mark.slow
def test_little_training_beats_the_filter(monkeypatch):
    monkeypatch.setattr(denoise, "DIGITS", replace(denoise.DIGITS, width=16, steps=200))
    monkeypatch.setattr(denoise, "PHOTOGRAPHS", replace(denoise.PHOTOGRAPHS, depth=3, width=8, steps=3, batch=4))
    ticks = []
    result = denoise.EXPERIMENT.run(Options(), lambda: ticks.append(1))
    assert len(ticks) == denoise.EXPERIMENT.ticks(Options())
    assert result.laws[0].measured > 1
    assert result.data["photograph_psnr"]["noisy"] == pytest.approx(-20 * np.log10(denoise.SD), abs=0.1)
    for name, panels in (("", 5), ("photograph", 5)):
        figure = Figure(figsize=(11, 5))
        result.figures[name](figure)
        assert len(figure.axes) == panels
