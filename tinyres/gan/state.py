"""A GAN's run as one safetensors file, from which it goes on bit for bit.

Weights and buffers of both players and of the averaged generator, both optimisers' states and the history are arrays;
the recipe, the step, the state of every generator inside the players and the machine are JSON texts in the header. The
order of the batches and the noise need no state: seed and step decide them. Equal runs give equal bytes.
"""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from tinyres import nn, optim
from tinyres.files import FileFormatError, load
from tinyres.files import save as save_file
from tinyres.gan.prepare import players
from tinyres.gan.recipe import GANRecipe
from tinyres.gan.trainer import GANTrainer, StepRecord
from tinyres.training import CheckpointError, header
from tinyres.training.machine import machine
from tinyres.training.machine import read as read_machine
from tinyres.training.state import generators, refuse_another

FORMAT = "tinyres gan 1"
NAME = "run.safetensors"  # in the folder of a run
GIVE = f"give the run's folder or its {NAME}"


def save(trainer: GANTrainer, path: str | PathLike[str]) -> None:
    """Write the trainer; whatever happens meanwhile, `path` holds the old file or the new one.

    Raises:
        OSError: the disk is full or fails; the old file is as it was.
    """
    arrays: dict[str, Any] = {"history": np.array(trainer.history, np.float64).reshape(-1, len(StepRecord._fields))}
    texts: dict[str, str] = {}
    for name, module in trainer.modules.items():
        arrays |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
    for name, optimizer in trainer.optimizers.items():
        moments, said = optim.flat(optimizer.state_dict())
        arrays |= {f"optimizer of {name}.{key}": value for key, value in moments.items()}
        texts |= {f"{key} of {name}": text for key, text in said.items()}
    about = {
        "format": FORMAT,
        "recipe": None if trainer.recipe is None else trainer.recipe.to_json(),
        "step": trainer.step,
        "generators": {
            name: {key: generator.bit_generator.state for key, generator in generators(module)}
            for name, module in trainer.modules.items()
        },
        "machine": machine(trainer.device),
    }
    save_file(arrays, path, texts | {"gan": json.dumps(about)})


def resume(trainer: GANTrainer, path: str | PathLike[str]) -> GANTrainer:
    """Bring a freshly prepared trainer to where the saved one stood; returns it.

    Raises:
        CheckpointError: the file holds something else, a run of another recipe, or players of another architecture; the
            trainer is as it was.
        FileFormatError: the file is truncated or damaged.
        FileNotFoundError: there is no such file.
    """
    about, saved, texts = _about(path)
    if trainer.recipe is not None and saved is not None:
        refuse_another(path, trainer.recipe.differs_from(saved))
    arrays, before = load(path), trainer.snapshot()
    try:
        moments = [f"optimizer of {name}." for name in trainer.optimizers]
        header.known(arrays, *[f"{name}." for name in trainer.modules], *moments, "history")
        for name, module in trainer.modules.items():
            module.load_state_dict(_below(name, arrays))
            for key, generator in generators(module):
                generator.bit_generator.state = about["generators"][name][key]
        for name, optimizer in trainer.optimizers.items():
            key = f"optimizer of {name}"
            state = optim.nested(_below(key, arrays), {"optimizer": texts[key]}, len(optimizer.params))
            header.same(f"the optimiser of the {name}", state["settings"], optimizer.state_dict()["settings"])
            optimizer.load_state_dict(state)
        step, came_from = header.step(about, trainer.total), read_machine(about.get("machine"))
        found = header.rows("its history", arrays["history"], [step, len(StepRecord._fields)])
        history = [StepRecord(int(row[0]), *row[1:]) for row in found.tolist()]
    except Exception as error:  # whatever the values of a damaged or foreign file lead to
        trainer.restore(before)
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path}: a run of other players or another optimiser: {reason}") from error
    trainer.step, trainer.history, trainer.came_from = step, history, came_from
    return trainer


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
    path = Path(path)
    if path.is_dir():
        if not (path / NAME).exists():
            raise CheckpointError(f"{path}: no saved run of a GAN in it; {GIVE}")
        path = path / NAME
    recipe = saved_recipe(path)
    generator, discriminator = players(recipe)
    arrays = load(path)
    try:
        generator.load_state_dict(_below("average" if ema and recipe.ema else "generator", arrays))
        discriminator.load_state_dict(_below("discriminator", arrays))
    except RuntimeError as error:
        raise CheckpointError(f"{path}: weights of another architecture: {' '.join(str(error).split())}") from error
    return recipe, (generator, discriminator)


def saved_recipe(path: str | PathLike[str]) -> GANRecipe:
    """The recipe of a saved run, without building anything of it.

    Raises:
        CheckpointError: the file holds something else, or less than the recipe says, or a run that was not made from
            a recipe.
        FileFormatError: the file is truncated or damaged.
        FileNotFoundError: there is no such file.
    """
    _, recipe, _ = _about(path)
    if recipe is None:
        raise CheckpointError(f"{path}: players made by hand; build them as they were, and call resume")
    header.in_proportion(path, width=recipe.width, latent=recipe.latent)
    return recipe


def _about(path: str | PathLike[str]) -> tuple[dict[str, Any], GANRecipe | None, dict[str, str]]:
    about, texts = header.read(path, "gan", FORMAT, f"no saved run of a GAN, but perhaps a model; {GIVE}")
    try:
        return about, None if about["recipe"] is None else GANRecipe(**about["recipe"]), texts
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its recipe is none of this version: {error}") from error


def _below(name: str, arrays: dict[str, Any]) -> dict[str, Any]:
    start = f"{name}."
    return {key.removeprefix(start): value for key, value in arrays.items() if key.startswith(start)}


__all__ = ["CheckpointError", "FileFormatError", "load_generator", "load_players", "resume", "save", "saved_recipe"]
