"""Stacked digits: the data, and modes counted by a classifier of single digits."""

import numpy as np
import pytest

from tinyres import gan
from tinyres.gan import metrics
from tinyres.gan.score import _limited


def test_a_stack_is_three_digits_and_its_target_their_number():
    found, single = gan.real_data("stacked-digits", seed=3), gan.real_data("digits")
    assert found.inputs.shape == (50_000, *gan.SHAPES["stacked-digits"])
    assert (found.inputs.min(), found.inputs.max(), found.classes) == (-1, 1, 1000)
    label = {image.tobytes(): target for image, target in zip(single.inputs[:, 0], single.targets, strict=True)}
    for stack, target in zip(found.inputs[:50], found.targets[:50], strict=True):
        assert [label[image.tobytes()] for image in stack] == [target // 100, target // 10 % 10, target % 10]
    assert len(np.unique(found.targets)) == 1000
    np.testing.assert_array_equal(found.inputs, gan.real_data("stacked-digits", seed=3).inputs)
    assert not np.array_equal(found.inputs, gan.real_data("stacked-digits", seed=4).inputs)


class Reader:
    """Reads a digit off the first pixel: a tenth for each."""

    image, classifier = (1, 2, 2), "a reader"

    def probabilities(self, images):
        assert images.shape[1:] == self.image
        return np.eye(10)[np.rint(10 * images[:, 0, 0, 0]).astype(int)]


def stacks(*numbers):
    digits = np.array([[n // 100, n // 10 % 10, n % 10] for n in numbers]) / 10
    return np.broadcast_to(digits[:, :, None, None], (*digits.shape, 2, 2)).copy()


def test_modes_and_reverse_kl():
    found = metrics.stacked_modes(stacks(123, 123, 321, 7), Reader())
    assert (found.modes, found.of, found.samples) == (3, 1000, 4)
    assert {n: count for n, count in enumerate(found.counts) if count} == {7: 1, 123: 2, 321: 1}
    assert found.reverse_kl == pytest.approx(0.5 * np.log(500) + 0.5 * np.log(250))
    even = metrics.stacked_modes(stacks(*range(1000)), Reader())
    assert (even.modes, even.reverse_kl) == (1000, pytest.approx(0, abs=1e-12))
    assert "1,000 of 1,000 triples" in str(even)
    assert "a reader" in str(even)


@pytest.mark.parametrize("shape", [(4, 1, 2, 2), (4, 3, 2, 3), (0, 3, 2, 2), (3, 2, 2)])
def test_what_is_refused(shape):
    with pytest.raises(ValueError, match=r"needs images of shape \(N, 3, 2, 2\), got"):
        metrics.stacked_modes(np.zeros(shape), Reader())


@pytest.mark.slow
def test_a_run_is_scored_beside_real_samples(tmp_path):
    """Real stacks handed in as samples count like real ones; one stack is one mode."""
    recipe, real = gan.GANRecipe.of("r3gan", "stacked-digits"), gan.real_data("stacked-digits")
    assert (recipe.arch, recipe.shape) == ("r3gan", (3, 8, 8))
    found = gan.score(recipe, lambda n: 1.5 * real.inputs[:n], n=8000, folder=tmp_path)  # beyond -1 to 1: clipped
    assert found.figures["modes"] > 990
    assert found.figures["modes_real"] > 990
    for which in ("", "_real"):
        assert found.figures[f"reverse_kl{which}"] == pytest.approx(999 / 16_000, rel=0.25)
    collapsed = gan.score(recipe, lambda n: real.inputs[real.targets == 123][:1].repeat(n, 0), n=500, folder=tmp_path)
    assert (collapsed.figures["modes"], collapsed.figures["reverse_kl"]) == (1, pytest.approx(np.log(1000)))


def test_nan_is_not_clipped_away():
    assert np.isnan(_limited(np.array([np.nan, 3.0]))[0])
