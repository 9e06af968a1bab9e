"""The recipes of a grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from tinyres.training.prepare import build
from tinyres.training.recipe import Recipe, default_rate

AXES = ("arch", "depth", "width", "init", "activation", "lr", "seed")  # the last one varies fastest


def grid(axes: Mapping[str, Sequence[Any]], **shared: Any) -> list[Recipe]:
    """All combinations of the axes' values: `grid({"depth": [8, 14], "seed": range(3)}, steps=50)`.

    Args:
        axes: values of the fields named in `AXES`; a field left out has `Recipe`'s default. Without `lr`, all points
            have the same rate, the smallest of their defaults, so that nets are compared at one rate.
        shared: the other fields of `Recipe`, the same for all points.

    Raises:
        ValueError: an unknown axis, an axis without values, or a value that `Recipe` rejects.
    """
    for name, values in axes.items():
        if name not in AXES or not len(values):
            raise ValueError(f"grid: an axis is one of {', '.join(AXES)} with at least one value, got {name}={values}")
    if "lr" not in axes and shared.get("lr") is None:
        optimizer = shared.get("optimizer") or Recipe.optimizer
        shared["lr"] = min(default_rate(arch, optimizer) for arch in axes.get("arch", [Recipe.arch]))
    names = [name for name in AXES if name in axes]
    recipes = [
        Recipe(**shared, **dict(zip(names, point, strict=True))) for point in product(*(axes[name] for name in names))
    ]
    return list(dict.fromkeys(_one_spelling(recipe) for recipe in recipes))


def _one_spelling(recipe: Recipe) -> Recipe:
    """Normalise a recipe: `init` 1.5 and 1.50 are the same point, and `epochs` is ignored if `steps` is given."""
    variance = recipe.weight_variance
    init = recipe.init if variance is None else repr(variance)
    return replace(recipe, init=init, epochs=recipe.epochs if recipe.steps is None else Recipe.epochs)


def problems(recipes: Sequence[Recipe], image: tuple[int, ...], classes: int) -> dict[str, str]:
    """{"plain at depth 9": "plain: depth must be ..."} for all recipes that cannot be built for images (C, H, W)."""
    shapes = {(r.arch, r.depth, r.width, r.activation): r for r in reversed(recipes)}
    found = {}
    for (arch, *_), recipe in sorted(shapes.items(), key=lambda entry: recipes.index(entry[1])):
        try:
            build(recipe, image, classes)
        except ValueError as error:
            given = {name: getattr(recipe, name) for name in ("depth", "width", "activation")}
            asked = ", ".join(f"{name} {value}" for name, value in given.items() if value not in (None, "relu"))
            found[f"{arch} at {asked}" if asked else arch] = str(error)
    return found


def varying(recipes: Sequence[Recipe]) -> dict[str, list[Any]]:
    """{axis: its values} for the axes with more than one value, in the order of `AXES`."""
    values = {name: list(dict.fromkeys(getattr(recipe, name) for recipe in recipes)) for name in AXES}
    return {name: found for name, found in values.items() if len(found) > 1}
