"""What a score holds against what."""

import numpy as np
import pytest

from tinyres import gan
from tinyres.gan.score import score_images


def test_images_are_scored_against_halves_of_the_real_ones():
    """Real digits as the perfect generator; grey ones as the worst."""

    class Judge:
        name, classifier = "pixels", "a lookup"

        def features(self, x):
            return x.reshape(len(x), -1)[:, 20:44].astype("float64")

        def probabilities(self, x):
            return known.get(len(x)) if x is not grey else np.full((len(x), 10), 0.1)

    digits = gan.real_data("digits")
    order = np.random.default_rng(7).permutation(len(digits))[:1000]
    known = {1000: np.where(np.eye(10)[digits.targets[order]] > 0, 0.91, 0.01)}
    grey = np.zeros((1000, 1, 8, 8), np.float32)
    perfect, worst = (score_images(Judge(), digits.inputs, x) for x in (digits.inputs[order], grey))
    assert perfect.figures["frechet_ratio"] == pytest.approx(1, abs=0.6)  # it shares samples with the half it meets
    assert abs(perfect.figures["mmd"]) < 4 * perfect.figures["mmd_error"]
    np.testing.assert_allclose(perfect.shares, np.bincount(digits.targets[order]) / 1000)
    assert perfect.figures["least_class"] == min(perfect.shares) > 0.02
    assert perfect.figures["sure"] == 1
    assert worst.figures["frechet_ratio"] > 20
    for found in (perfect, worst):
        assert found.figures["frechet_ratio"] == found.figures["frechet"] / found.figures["frechet_real"]
    assert perfect.figures["frechet_real"] == worst.figures["frechet_real"]  # no matter who is judged
    assert (perfect.figures["precision"] > 0.7, worst.figures["precision"]) == (True, 0)
    assert (worst.figures["least_class"], worst.figures["sure"], worst.figures["precision"]) == (0, 0, 0)
    assert any("898 against 898 samples" in sentence for sentence in perfect.sentences)
