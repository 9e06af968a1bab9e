"""The figure: what its axes are, what its cells say."""

import io
import math

import pytest

from tinyres.lab import sweep
from tinyres.lab.sweep import Finding
from tinyres.lab.sweep.heatmap import choose

DEPTHS, RATES = [3, 4, 5], [0.1, 1.0]


def finding(recipe):
    """Accuracy tells depth and seed; at a rate of 1 the second seed diverges."""
    if recipe.lr == 1.0 and recipe.seed == 1:
        return Finding("diverged", math.nan, math.nan, math.nan, 1.0, 10.0, -1.0, 5, 1, 0.1)
    return Finding("ok", 1.0, 2.0, recipe.depth / 10 + recipe.seed / 100, 1.0, 1e3, -3.0, 5, 2, 0.1)


def known(recipes):
    return {recipe: finding(recipe) for recipe in recipes}


@pytest.mark.parametrize(
    ("axes", "wanted"),
    [
        ({}, ("seed", None, None)),
        ({"seed": [0, 1]}, ("seed", None, None)),
        ({"lr": RATES, "seed": [0, 1, 2]}, ("lr", None, None)),
        ({"depth": DEPTHS, "lr": RATES, "seed": range(9)}, ("depth", "lr", None)),
        ({"depth": [3, 4], "width": [4, 8], "lr": [0.1, 0.2, 0.3]}, ("lr", "depth", None)),
        ({"arch": ["plain", "resnet"], "depth": DEPTHS, "seed": [0, 1]}, ("depth", "arch", None)),
        ({"arch": ["plain", "resnet"], "depth": DEPTHS, "lr": RATES}, ("depth", "lr", "arch")),
        ({"arch": ["plain", "resnet"], "seed": [0, 1]}, ("arch", None, None)),
    ],
)
def test_columns_rows_and_panels(axes, wanted):
    assert choose(sweep.grid(axes), None, None) == wanted


def test_columns_and_rows_as_asked():
    recipes = sweep.grid({"arch": ["plain", "resnet"], "depth": DEPTHS, "lr": RATES, "seed": [0, 1]})
    assert choose(recipes, "seed", "lr") == ("seed", "lr", "arch")
    assert choose(recipes, "lr", None) == ("lr", "depth", "arch")
    assert choose(recipes, None, "depth") == ("lr", "depth", "arch")
    assert choose(recipes, "arch", "depth") == ("arch", "depth", None)


def test_cells_are_means_over_what_ended_well():
    recipes = sweep.grid({"depth": DEPTHS, "lr": RATES, "seed": [0, 1]})
    found = sweep.mean(recipes, known(recipes[:-1]), "accuracy", ["depth", "lr"])
    assert found[3, 0.1] == sweep.Mean(pytest.approx(0.305), 2, 0)
    assert found[4, 1.0] == sweep.Mean(pytest.approx(0.4), 1, 1)
    assert found[5, 1.0] == sweep.Mean(pytest.approx(0.5), 1, 0)  # its second seed is not there
    gradients = sweep.mean(recipes, known(recipes), "gradient", ["lr"])
    assert gradients[(1.0,)].value == pytest.approx(-2.0)  # known of the diverged, too
    nothing = sweep.mean(recipes, {}, "accuracy", ["lr"])
    assert all(math.isnan(cell.value) and cell.ok == cell.diverged == 0 for cell in nothing.values())


@pytest.mark.parametrize("metric", sweep.METRICS)
@pytest.mark.parametrize(
    ("axes", "panels"),
    [
        ({"depth": DEPTHS}, 1),
        ({"depth": DEPTHS, "lr": RATES, "seed": [0, 1]}, 1),
        ({"arch": ["mlp", "plain", "resnet", "preact"], "depth": DEPTHS, "lr": RATES, "seed": [0, 1]}, 4),
    ],
)
def test_a_figure_for_one_two_and_three_axes(axes, panels, metric):
    recipes = sweep.grid(axes)
    figure = sweep.heatmap(recipes, known(recipes), metric)
    if metric == "accuracy":  # the others differ in their numbers alone, and are drawn below
        figure.savefig(io.BytesIO())
    *maps, bar = figure.axes
    assert len(maps) == panels
    assert bar.get_ylabel() == sweep.METRICS[metric][0]
    assert [label.get_text() for label in maps[-1].get_xticklabels()] == ["3", "4", "5"]
    image = maps[0].images[0].get_array()
    assert image.shape == (2 if "lr" in axes else 1, 3)
    if metric == "accuracy":
        assert image[0].tolist() == pytest.approx([0.305, 0.405, 0.505] if "seed" in axes else [0.3, 0.4, 0.5])
    hatched = [patch for patch in maps[0].patches if patch.get_hatch()]
    assert len(hatched) == (3 if "lr" in axes else 0)
    texts = [text.get_text() for text in maps[0].texts]
    assert sum("1 of 2 div." in text for text in texts) == len(hatched)


@pytest.mark.parametrize("gradient", [-math.inf, math.nan, 0.0])
def test_nothing_finite_can_be_drawn_too(gradient):
    recipes = sweep.grid({"depth": DEPTHS})
    gone = Finding("diverged", math.nan, math.nan, math.nan, 0.0, 1.0, gradient, 5, 1, 0.1)
    for metric in sweep.METRICS if math.isnan(gradient) else ["gradient"]:
        sweep.heatmap(recipes, dict.fromkeys(recipes, gone), metric).savefig(io.BytesIO())
    sweep.heatmap(recipes, {}).savefig(io.BytesIO())
