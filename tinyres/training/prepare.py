"""Prepare a run: make data, model, optimiser and schedule of a recipe."""

from __future__ import annotations

import inspect
import math
from dataclasses import replace
from typing import Any

import numpy as np

import tinyres as tr
from tinyres import data, models, nn, optim
from tinyres.nn import init
from tinyres.optim.schedules import LRScheduler
from tinyres.training.recipe import ACTIVATIONS, OPTIMIZERS, Recipe, same_data
from tinyres.training.run import Run

FLIPS = ("fashion-mnist", "cifar10")  # a mirrored digit is another sign


def prepare(recipe: Recipe, split: data.Split | None = None, *, device: str = "cpu") -> Run:
    """Load the data (or take `split`), and build everything that the recipe names.

    Images are brought to mean 0 and variance 1 in each channel, by the training set's statistics.

    Args:
        device: where to compute. It is no part of the recipe: all is drawn on the CPU and then moved, so that the same
            recipe starts from the same numbers everywhere; sums may round differently from there on.

    Raises:
        RuntimeError: this machine cannot compute on `device`.
        ValueError: the architecture has no such depth or width, or does not take images of this size; your own data
            are not those of the recipe's data_hash.
        ImportError, OSError: the data set's own errors.
    """
    split = load_split(recipe) if split is None else split
    recipe = same_data(recipe, split.train.fingerprint)
    train, test = split if data.is_text(recipe.data) else _normalised(split)
    model = build(recipe, train.inputs.shape[1:], train.classes or int(train.targets.max()) + 1).to(device)
    loader = data.DataLoader(
        train,
        min(recipe.batch_size, len(train)),
        shuffle=True,
        seed=recipe.seed,
        drop_last=True,
        transform=None if data.is_text(recipe.data) else augmentation(recipe, train.inputs.shape[-1]),
    )
    total = recipe.steps if recipe.steps is not None else recipe.epochs * len(loader)
    settings: dict[str, Any] = {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    if recipe.optimizer == "sgd":
        settings["momentum"] = recipe.momentum
    optimizer = OPTIMIZERS[recipe.optimizer](model.parameters(), **settings)
    return Run(recipe, model, optimizer, schedule(recipe, optimizer, total), loader, test, total)


def _normalised(split: data.Split) -> data.Split:
    scale = data.Normalize(*data.channel_statistics(split.train))
    unused = np.random.default_rng(0)  # nothing is drawn for a normalisation
    return data.Split(*(replace(part, inputs=scale(part.inputs, unused)) for part in split))


def load_split(recipe: Recipe) -> data.Split:
    """The recipe's images or text; digits and your own images are split by its seed, the others come split."""
    if data.is_text(recipe.data):
        return data.load(recipe.data, context=recipe.context)
    if data.is_own(recipe.data):
        return data.load(recipe.data, seed=recipe.seed, image_size=recipe.image_size)
    return data.load(recipe.data, **({"seed": recipe.seed} if recipe.data == "digits" else {}))


def build(recipe: Recipe, image: tuple[int, ...], classes: int = 10) -> nn.Module:
    """The model for images (C, H, W), or for sequences (T,), with the recipe's activation and initial weights."""
    rng = np.random.default_rng(recipe.seed)
    make = getattr(models, recipe.arch)
    if recipe.arch in models.READERS:
        sizes = {k: v for k, v in (("layers", recipe.depth), ("width", recipe.width)) if v is not None}
        return _finished(make(**sizes, symbols=classes, context=image[0], rng=rng), recipe, rng)
    options: dict[str, Any] = {"in_channels": image[0], "classes": classes, "rng": rng}
    options |= {k: v for k, v in (("depth", recipe.depth), ("width", recipe.width)) if v is not None}
    if "size" in inspect.signature(make).parameters:
        options["size"] = image[-1]
    model: nn.Module = make(**options)
    try:  # now rather than at the first step: some architectures halve the image more often than it can be
        with tr.no_grad():
            model.eval()(tr.tensor(np.zeros((1, *image), np.float32)))
    except ValueError as error:
        raise ValueError(f"{recipe.arch} does not take images of {image[1]}x{image[2]} pixels: {error}") from error
    finally:
        model.train()
    return _finished(model, recipe, rng)


def _finished(model: nn.Module, recipe: Recipe, rng: np.random.Generator) -> nn.Module:
    if recipe.activation != "relu":
        models.swap_activation(model, ACTIVATIONS[recipe.activation])
    return initialise(model, recipe.init, rng)


def initialise(model: nn.Module, how: str, rng: np.random.Generator) -> nn.Module:
    """Draw the weights of linear and convolutional layers and of attention again: `Recipe.init` says the choices."""
    if how == "default":
        return model
    named = {
        "kaiming_normal": lambda w: init.kaiming_normal_(w, nonlinearity="relu", rng=rng),
        "xavier_normal": lambda w: init.xavier_normal_(w, rng=rng),
        "orthogonal": lambda w: init.orthogonal_(w, rng=rng),
    }
    draw = named.get(how)
    if draw is None:
        variance = float(how)
        draw = lambda w: init.normal_(w, std=math.sqrt(variance / init.fans("initialise", w)[0]), rng=rng)
    for module in model.modules():
        if isinstance(module, nn.MultiheadAttention):
            draw(module.in_proj_weight)
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            draw(module.weight)
            if module.bias is not None:
                init.zeros_(module.bias)
    return model


def augmentation(recipe: Recipe, size: int) -> Any:
    """Pad by an eighth of the image and crop, flip where that makes sense; None without augmentation."""
    wanted = recipe.data == "cifar10" if recipe.augment is None else recipe.augment
    if not wanted:
        return None
    crop = data.RandomCrop(padding=max(1, size // 8))
    return data.Compose([crop, data.RandomHorizontalFlip()]) if recipe.data in FLIPS else crop


def schedule(recipe: Recipe, optimizer: optim.Optimizer, total: int) -> LRScheduler:
    """The recipe's learning rate over `total` steps."""
    warm = round(recipe.warmup * total)
    rest = max(1, total - warm)
    after: LRScheduler
    if recipe.schedule == "cosine":
        after = optim.CosineAnnealingLR(optimizer, rest)
    elif recipe.schedule == "step":
        after = optim.MultiStepLR(optimizer, [rest // 2, rest * 3 // 4])
    else:
        after = optim.MultiStepLR(optimizer, [])
    if not warm:
        return after
    return optim.SequentialLR(optimizer, [optim.LinearLR(optimizer, 1 / warm, total_iters=warm), after], [warm])
