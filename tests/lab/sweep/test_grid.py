"""Which points a grid has."""

import pytest

from tinyres.lab import sweep
from tinyres.training import Recipe


def test_a_grid_is_the_product_in_the_order_of_its_axes():
    recipes = sweep.grid({"seed": [0, 1], "arch": ["plain", "resnet"], "lr": [0.1]}, steps=5)
    assert [(r.arch, r.seed, r.steps) for r in recipes] == [
        ("plain", 0, 5), ("plain", 1, 5), ("resnet", 0, 5), ("resnet", 1, 5)
    ]  # fmt: skip
    assert sweep.varying(recipes) == {"arch": ["plain", "resnet"], "seed": [0, 1]}


def test_one_point_has_one_spelling():
    assert len(sweep.grid({"init": ["1.5", "1.50", "15e-1", "2"], "seed": [0, 0]})) == 2
    assert sweep.grid({}, steps=5, epochs=3) == sweep.grid({}, steps=5)
    assert sweep.grid({}, epochs=3) != sweep.grid({})


@pytest.mark.parametrize(("axes", "message"), [({"momentum": [0.9]}, "momentum"), ({"lr": []}, "lr=")])
def test_an_axis_that_is_none(axes, message):
    with pytest.raises(ValueError, match=message):
        sweep.grid(axes)


def test_what_cannot_be_built_is_found_before_anything_runs():
    recipes = sweep.grid({"arch": ["plain", "mlp"], "depth": [0, 8, 9], "activation": ["relu", "tanh"], "seed": [0, 1]})
    wrong = sweep.problems(recipes, (1, 8, 8), 10)
    assert list(wrong) == [
        "plain at depth 0", "plain at depth 0, activation tanh",
        "plain at depth 9", "plain at depth 9, activation tanh",
        "mlp at depth 0", "mlp at depth 0, activation tanh",
    ]  # fmt: skip
    assert "6 n + 2" in wrong["plain at depth 9"]
    assert not sweep.problems([Recipe(arch="mlp", depth=3)], (1, 8, 8), 10)


def test_nets_are_compared_at_one_rate_which_suits_them_all():
    assert {r.lr for r in sweep.grid({"arch": ["resnet", "mlp"]})} == {0.01}
    assert {r.lr for r in sweep.grid({"arch": ["resnet", "plain"]})} == {0.1}
    assert {r.lr for r in sweep.grid({"arch": ["resnet", "mlp"]}, optimizer="adam")} == {1e-3}
    assert {r.lr for r in sweep.grid({"arch": ["resnet", "mlp"], "lr": [0.1, 0.2]})} == {0.1, 0.2}
