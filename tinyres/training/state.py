"""A run as one safetensors file, from which it goes on bit for bit.

Weights, running statistics, the optimiser's state and the losses are arrays; the recipe, the schedule, the state of
every generator inside the model, the scores and the machine are JSON texts in the header. The order of the batches and
what is drawn for them need no state: seed, epoch and batch number decide them. Equal runs give equal bytes.
"""

from __future__ import annotations

import json
from os import PathLike
from typing import Any

import numpy as np

from tinyres import nn, optim
from tinyres.files import FileFormatError, load
from tinyres.files import save as save_file
from tinyres.training import header
from tinyres.training.header import CheckpointError
from tinyres.training.machine import machine
from tinyres.training.machine import read as read_machine
from tinyres.training.recipe import Recipe
from tinyres.training.run import Run

FORMAT = "tinyres run 1"
LENGTH = {"steps", "epochs"}


def save(run: Run, path: str | PathLike[str]) -> None:
    """Write the run; whatever happens meanwhile, `path` holds the old file or the new one."""
    moments, texts = optim.flat(run.optimizer.state_dict())
    arrays: dict[str, Any] = {f"model.{name}": value for name, value in run.model.state_dict().items()}
    arrays |= {f"optimizer.{name}": value for name, value in moments.items()}
    arrays["losses"] = np.array(run.losses)
    about = {
        "format": FORMAT,
        "recipe": run.recipe.to_json(),
        "step": run.step,
        "schedule": run.scheduler.state_dict(),
        "generators": {name: g.bit_generator.state for name, g in generators(run.model)},
        "scores": run.scores,
        "machine": machine(run.device, run.processes),
    }
    if run.notes is not None:
        arrays |= {f"notes.{name}": value for name, value in run.notes[0].items()}
        about["notes"] = run.notes[1]
    save_file(arrays, path, texts | {"run": json.dumps(about)})


def resume(run: Run, path: str | PathLike[str]) -> Run:
    """Bring a freshly prepared run to where the saved one stood; returns it.

    Raises:
        CheckpointError: the file holds something else, or a run of another recipe.
        FileFormatError: the file is truncated or damaged.
        FileNotFoundError: there is no such file.
    """
    about, saved, texts = _about(path)
    refuse_another(path, run.recipe.differs_from(saved))
    arrays = load(path)
    part = {kind: _below(kind, arrays) for kind in ("model", "optimizer")}
    try:
        header.known(arrays, "model.", "optimizer.", "losses", *(["notes."] if "notes" in about else []))
        step = header.step(about, run.total)
        losses = header.rows("its losses", arrays["losses"], [step]).tolist()
        scores = header.scores(about["scores"], step)
        optimizer = optim.nested(part["optimizer"], texts, len(run.optimizer.params))
        for _ in range(step):
            run.scheduler.step()
        header.same("its optimiser", optimizer["settings"], run.optimizer.state_dict()["settings"])
        header.same("its schedule", about["schedule"], run.scheduler.state_dict())
        run.model.load_state_dict(part["model"])
        run.optimizer.load_state_dict(optimizer)
        for name, generator in generators(run.model):
            generator.bit_generator.state = about["generators"][name]
        run.came_from = read_machine(about.get("machine"))
        run.notes = (_below("notes", arrays), dict(about["notes"])) if "notes" in about else None
        run.step, run.losses, run.scores = step, losses, scores
    except Exception as error:  # whatever the values of a damaged or foreign file lead to
        reason = " ".join(f"{type(error).__name__} {error}".split()) if not isinstance(error, ValueError) else error
        raise CheckpointError(
            f"{path}: does not fit what this version builds of its recipe ({reason}); train it anew in another folder"
        ) from error
    return run


def saved_recipe(path: str | PathLike[str]) -> Recipe:
    """The recipe of a saved run, without building anything of it.

    Raises:
        CheckpointError: the file holds something else, or less than the recipe says.
        FileFormatError: the file is truncated or damaged.
        FileNotFoundError: there is no such file.
    """
    recipe = _about(path)[1]
    header.in_proportion(path, recipe.depth, width=recipe.width)
    return recipe


def refuse_another(path: str | PathLike[str], different: dict[str, tuple[Any, Any]]) -> None:
    """Raise a CheckpointError that names what differs, {field: (here, there)}, if anything does."""
    if not different:
        return
    said = ", ".join(f"{name} is {there!r} there and {here!r} here" for name, (here, there) in different.items())
    length = "; a run is not lengthened, since its schedule depends on its length" if LENGTH & set(different) else ""
    raise CheckpointError(f"{path}: a run of another recipe ({said}){length}; give it the same, or another folder")


def _about(path: str | PathLike[str]) -> tuple[dict[str, Any], Recipe, dict[str, str]]:
    otherwise = "no saved run, but perhaps a model; a run is what training.save wrote"
    about, texts = header.read(path, "run", FORMAT, otherwise)
    try:
        return about, Recipe(**about["recipe"]), texts
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its recipe is none of this version: {error}") from error


def _below(kind: str, arrays: dict[str, Any]) -> dict[str, Any]:
    start = f"{kind}."
    return {name.removeprefix(start): value for name, value in arrays.items() if name.startswith(start)}


def generators(model: nn.Module) -> list[tuple[str, np.random.Generator]]:
    """What the model draws from while it runs, by the name of the module and its attribute."""
    return [
        (f"{name}.{attribute}" if name else attribute, value)
        for name, module in model.named_modules()
        for attribute, value in vars(module).items()
        if isinstance(value, np.random.Generator)
    ]


__all__ = ["CheckpointError", "FileFormatError", "generators", "refuse_another", "resume", "save", "saved_recipe"]
