"""The players of a saved GAN: its recipe, its generator and its discriminator, without the data."""

from __future__ import annotations

from os import PathLike

from tinyres import nn
from tinyres.files import load
from tinyres.gan.prepare import players
from tinyres.gan.recipe import GANRecipe
from tinyres.gan.trainer import FORMAT
from tinyres.training import checkpoint
from tinyres.training.checkpoint import CheckpointError


def load_generator(path: str | PathLike[str], *, ema: bool = True) -> tuple[GANRecipe, nn.Module]:
    """The recipe of a saved run and its generator (the averaged one, where there is one), without loading any data.

    Args:
        path: of the saved run, or of its folder.

    Raises:
        CheckpointError: the file or folder holds something else, or a run that was not made from a recipe.
        FileFormatError: the file is truncated or damaged.
        FileNotFoundError: there is no such file.
    """
    recipe, (generator, _) = load_players(path, ema=ema)
    return recipe, generator


def load_players(path: str | PathLike[str], *, ema: bool = True) -> tuple[GANRecipe, tuple[nn.Module, nn.Module]]:
    """As `load_generator`, with the discriminator."""
    path = checkpoint.find(path, FORMAT)
    recipe = saved_recipe(path)
    generator, discriminator = players(recipe)
    arrays = load(path)
    try:
        generator.load_state_dict(checkpoint.part("average" if ema and recipe.ema else "generator", arrays))
        discriminator.load_state_dict(checkpoint.part("discriminator", arrays))
    except RuntimeError as error:
        raise CheckpointError(f"{path}: weights of another architecture: {' '.join(str(error).split())}") from error
    return recipe, (generator, discriminator)


def saved_recipe(path: str | PathLike[str]) -> GANRecipe:
    """The recipe of a saved run, or of the run in a folder, without building anything of it.

    Raises:
        CheckpointError: there is something else, or smaller models than the recipe describes, or a run that was not
            made from a recipe.
        FileFormatError: the file is truncated or damaged.
        FileNotFoundError: there is no such file.
    """
    recipe: GANRecipe = checkpoint.saved_recipe(checkpoint.find(path, FORMAT), FORMAT)
    return recipe
