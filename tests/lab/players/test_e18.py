"""Mode coverage: nets side by side do not meet, R1 finds a ring, and the laws notice what does not."""

import numpy as np
import pytest

import tinyres as tr
from tinyres.gan.metrics import mode_coverage
from tinyres.lab.players import e18_modes as e18


def coverage(modes, of):
    return e18.ModeCoverage(modes, of, 0.5, 0.1, e18.SAMPLES, (1,) * of)


def coverages(ring, plain, penalised):
    """Of every method, from modes of each seed: R1 on the ring, GAN and R1 on the grid."""
    found = {(mixture.name, m.name): [coverage(5, 8)] * 5 for mixture in (e18.RING, e18.GRID) for m in e18.METHODS}
    found["ring", "R1"] = [coverage(m, 8) for m in ring]
    found["grid", "GAN"] = [coverage(m, 25) for m in plain]
    found["grid", "R1"] = [coverage(m, 25) for m in penalised]
    return found


def failed(found):
    return [law.name for law in e18.laws(found) if not law.ok]


def test_nets_side_by_side_are_the_nets_alone():
    """Outputs equal, and the gradient of one net's rows by another's weights is zero."""
    both = e18.net(2, 1, 0.2, [np.random.default_rng(s) for s in (0, 1)])
    alone = e18.net(2, 1, 0.2, [np.random.default_rng(1)])
    x = np.random.default_rng(2).standard_normal((10, 2)).astype(np.float32)
    y = both(tr.tensor(x))
    np.testing.assert_allclose(y.numpy()[5:], alone(tr.tensor(x[5:])).numpy(), rtol=1e-5)
    for g in tr.grad(tr.sum(y[5:]), list(both.parameters())):
        assert not g.numpy()[0].any()
        assert g.numpy()[1].any()


@pytest.fixture(scope="module")
def trained():
    method = e18.Method("R1", "nonsaturating", "r1", 0.3, 1, 2e-3, (0.5, 0.99), {"ring": 550})
    with e18.threadpool_limits(1, user_api="blas"):
        trainer = e18.trainer(method, e18.RING, range(3))
        for _ in trainer.steps():
            pass
    return trainer


@pytest.mark.slow
def test_r1_finds_the_ring_in_every_seed(trained):
    made = e18.samples(trained, 3, np.random.default_rng(0))
    assert made.shape == (3, e18.SAMPLES, 2)
    assert [mode_coverage(x, e18.RING.centers, e18.RING.sd).modes for x in made] == [8, 8, 8]
    assert not np.allclose(made[0].std(axis=0), made[1].std(axis=0), rtol=1e-6), "seeds are to differ"


def test_a_ring_that_one_seed_misses_is_noticed():
    good = coverages([8] * 5, [17, 18, 19, 18, 17], [24, 25, 24, 23, 24])
    assert failed(good) == []
    assert failed({**good, ("ring", "R1"): [coverage(m, 8) for m in (8, 8, 7, 8, 8)]}) == [
        "ring, R1: modes of the worst seed"
    ]


def test_a_difference_within_the_spread_of_seeds_is_no_order():
    assert failed(coverages([8] * 5, [17, 18, 24, 18, 17], [18, 25, 17, 19, 20])) == [
        "grid, modes: R1 less GAN, over seeds"
    ]


def test_published_rows_are_labelled():
    rows = e18.table(coverages([8] * 5, [17] * 5, [24, 25, 24, 23, 24])).rows
    published = [row for row in rows if row[-1] == e18.PACGAN]
    assert [row[2] for row in published] == ["6.3 ± 0.5", "7.9 ± 0.1", "17.3 ± 0.8", "23.8 ± 0.7", "24.8 ± 0.2"]
    assert len(rows) - len(published) == 2 * len(e18.METHODS)


def test_what_was_found_names_the_figures_of_this_run():
    text = e18._found(coverages([8, 8, 7, 8, 8], [17] * 5, [24, 25, 24, 23, 24]))
    assert "7.8 with R1 on average (R1's worst seed: 7)" in text
    assert "R1 covers 7.0 ± 0.9 more" in text
