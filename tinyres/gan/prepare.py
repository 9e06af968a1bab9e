"""Prepare a GAN's run: make data, players, optimisers and trainer of a recipe."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import tinyres as tr
from tinyres import models, nn, optim
from tinyres.data import Dataset, is_own
from tinyres.gan.burn_in import BurnIn
from tinyres.gan.data import real_data
from tinyres.gan.labels import classes_of
from tinyres.gan.losses import LOSSES
from tinyres.gan.penalties import PENALTIES
from tinyres.gan.recipe import GANRecipe
from tinyres.gan.trainer import GANTrainer
from tinyres.models.conditional import conditional
from tinyres.training.recipe import same_data, short


def prepare(recipe: GANRecipe, dataset: Dataset | None = None, *, device: str = "cpu") -> GANTrainer:
    """Load the data (or take `dataset`), and build everything that the recipe names.

    Args:
        device: where to compute. It is no part of the recipe: all is drawn on the CPU and then moved, so that the same
            recipe plays with the same numbers everywhere; sums may round differently from there on.

    Raises:
        RuntimeError: this machine cannot compute on `device`.
        ValueError: the architecture does not make samples of this shape; a penalty on a batch-coupled discriminator;
            conditional players, and data without classes.
        ImportError, OSError: the data set's own errors.
    """
    if dataset is None:
        dataset = real_data(recipe.data, recipe.seed, recipe.image_size, labelled=recipe.conditional)
    recipe = same_data(recipe, dataset.fingerprint)
    if recipe.conditional:
        recipe = replace(recipe, classes=classes_of(dataset))
    if is_own(recipe.data):
        recipe = replace(recipe, image="x".join(map(str, dataset.inputs.shape[1:])))
    generator, discriminator = (player.to(device) for player in players(recipe, dataset.inputs.shape[1:]))
    betas = (recipe.beta1, recipe.beta2)
    trainer = GANTrainer(
        generator,
        discriminator,
        dataset,
        loss=LOSSES[recipe.loss],
        penalty=PENALTIES.get(recipe.penalty),
        penalty_weight=recipe.penalty_weight,
        penalty_every=recipe.penalty_every,
        burn_in=_burn_in(recipe),
        clip=recipe.clip,
        d_steps=recipe.d_steps,
        optimizer_g=optim.Adam(generator.parameters(), recipe.lr_g, betas),
        optimizer_d=optim.Adam(discriminator.parameters(), recipe.lr_d, betas),
        ema=recipe.ema,
        instance_noise=recipe.instance_noise,
        batch_size=min(recipe.batch_size, len(dataset)),
        latent=recipe.latent,
        classes=recipe.classes,
        seed=recipe.seed,
        total=recipe.steps,
    )
    trainer.recipe = recipe
    return trainer


def _burn_in(recipe: GANRecipe) -> BurnIn | None:
    if not recipe.burn_in:
        return None
    steps = max(1, round(recipe.burn_in * recipe.steps))
    return BurnIn(steps, recipe.lr_end, recipe.penalty_end, recipe.beta2_end, recipe.ema_rises)


def players(recipe: GANRecipe, shape: tuple[int, ...] | None = None) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator for samples of this shape (by default the data set's), with their initial weights."""
    shape = recipe.shape if shape is None else shape
    rng = np.random.default_rng(recipe.seed)
    pair = models.PLAYERS[recipe.arch]
    latent = recipe.latent
    if recipe.conditional:
        if not recipe.classes:
            raise ValueError(
                f"the classes of {short(recipe.data)} have not been read yet, so their number is not known"
            )
        latent += recipe.latent  # the class's vector
    generator: nn.Module
    discriminator: nn.Module
    try:
        generator = pair.generator(latent, recipe.width, shape, recipe.norm, rng)
        discriminator = critic = pair.discriminator(latent, recipe.width, shape, recipe.norm, rng)
        with tr.no_grad():
            made = generator.eval()(tr.tensor(np.zeros((1, latent), np.float32)))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{recipe.arch} makes no samples of shape {tuple(shape)}: {error}") from error
    if made.shape[1:] != tuple(shape):
        raise ValueError(
            f"{recipe.arch} makes samples of shape {made.shape[1:]}, {short(recipe.data)} has {tuple(shape)}"
        )
    if recipe.conditional:
        generator, discriminator = conditional(generator, critic, recipe.classes, recipe.latent, rng)
    if recipe.spectral_norm:
        nn.spectral_norm(discriminator, rng=rng)
    return generator.train(), discriminator
