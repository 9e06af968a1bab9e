"""A law at one seed and at several."""

import math
import warnings

import numpy as np
import pytest

from tinyres.lab.law import half_width, three_errors
from tinyres.lab.registry import Law, Spread


def laws(values, kind="asymptotic", predicted=1.0, tolerance=0.1):
    return [Law("x", value, predicted, tolerance, kind, "") for value in values]


def test_a_law_is_judged_by_its_kind():
    assert [law.ok for law in laws([1.09, 1.11, math.nan])] == [True, False, False]
    assert [law.ok for law in laws([1.09, 1.11, math.nan, math.inf], "ordering")] == [False, True, False, True]


def test_a_mean_may_be_off_by_the_room_or_by_three_standard_errors():
    """By hand: five values of mean 3 and variance 2.5."""
    law = Law.of_mean("x", [1, 2, 3, 4, 5], 2.0, "y", room=0.1)
    error = math.sqrt(2.5 / 5)
    assert law == Law("x", 3.0, 2.0, pytest.approx(3 * error), "asymptotic", "y")
    assert Law.of_mean("x", [1, 2, 3, 4, 5], 2.0, "y", room=2.5).tolerance == 2.5
    above = Law.of_mean("x", [1, 2, 3, 4, 5], 2.0, "y", kind="ordering", noise=half_width)
    assert (above.kind, above.tolerance) == ("ordering", pytest.approx(2.7764451 * error))


def test_a_geometric_mean_may_be_off_by_a_share():
    logs = np.log([1.0, 4.0, 16.0])
    law = Law.of_geometric_mean("x", logs, 5.0, "y", share=0.1)
    assert law == Law("x", pytest.approx(4.0), 5.0, pytest.approx(15 * math.log(4) / math.sqrt(3)), "asymptotic", "y")
    assert Law.of_geometric_mean("x", logs, 5.0, "y", share=3.0).tolerance == 15.0


@pytest.mark.parametrize("values", [[7.0], [1.0, math.inf], [1.0, math.nan]])
def test_a_mean_whose_error_is_not_known_is_never_met(values):
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, of the degrees of freedom
        for kind in ("ordering", "asymptotic"):
            assert not Law.of_mean("x", values, 7.0 if kind == "asymptotic" else 0.0, "y", kind=kind, room=1.0).ok


def test_json_and_back():
    for law in (*laws([1.5]), *laws([1.5], "check")):
        assert Law.from_json(law.to_json()) == law
    (gone,) = laws([math.inf])
    assert math.isnan(Law.from_json(gone.to_json() | {"measured": None}).measured)


@pytest.mark.parametrize(
    ("failing", "of", "word"), [(0, 1, "holds"), (1, 10, "holds"), (2, 10, "FAILS"), (1, 9, "FAILS"), (1, 1, "FAILS")]
)
def test_a_law_holds_at_nine_seeds_of_ten(failing, of, word):
    spread = Spread(laws([1.0] * (of - failing) + [2.0] * failing))
    assert (spread.holds, spread.verdict()) == (of - failing, word)


def test_a_check_agrees_at_every_seed():
    assert Spread(laws([1.0] * 10, "check")).verdict() == "agrees"
    assert Spread(laws([1.0] * 9 + [2.0], "check")).verdict() == "FAILS"


def test_one_training_has_no_verdict():
    assert Spread(laws([1.0] * 4), least=5).verdict() == "shown"
    assert Spread(laws([2.0]), least=5).verdict() == "shown"
    assert Spread(laws([1.0], "check"), least=5).verdict() == "agrees"
    assert Spread(laws([1.0], "figure")).verdict() == "shown"


def test_an_interval_is_students():
    """By hand: five values of mean 3 and variance 2.5; t at 95 % and four degrees of freedom is 2.7764."""
    low, high = Spread(laws([1, 2, 3, 4, 5], predicted=1.0)).interval()
    reach = 2.7764451 * math.sqrt(2.5 / 5)
    assert (low, high) == pytest.approx((2 - reach, 2 + reach), rel=1e-5)
    assert np.isnan(Spread(laws([1.0])).interval()).all()
    assert np.isnan(Spread(laws([1.0, math.inf])).interval()).all()


@pytest.mark.parametrize(
    ("values", "kind", "word"),
    [
        ([1.2, 1.3, 1.25, 1.2, 1.3], "ordering", "holds"),
        ([1.2, 1.3, 1.25, 1.2, 0.2], "ordering", "FAILS"),  # the mean is above what is demanded, the interval is not
        ([1.2, 1.3, 1.25, 1.2, math.inf], "ordering", "FAILS"),
        ([1.01, 0.99, 1.02, 0.98, 1.0], "asymptotic", "holds"),
        ([1.3, 0.7, 1.2, 0.8, 1.0], "asymptotic", "FAILS"),  # right in the mean, and not known well enough
        ([1.09, 1.09, 1.09, 1.09, 1.09], "asymptotic", "holds"),
        ([1.11, 1.11, 1.11, 1.11, 1.11], "asymptotic", "FAILS"),
    ],
)
def test_what_is_trained_is_judged_by_the_interval_of_its_mean(values, kind, word):
    assert Spread(laws(values, kind), least=5).verdict() == word


def test_of_one_value_nothing_can_be_said():
    for noise in (three_errors, half_width):
        law = Law.of_mean("x", [1.0], 1.0, "y", noise=noise)
        assert math.isnan(law.tolerance)
        assert not law.ok
