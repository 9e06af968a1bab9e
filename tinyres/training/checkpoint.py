"""Checkpoints: a run as one safetensors file, from which it resumes bit for bit.

Weights, running statistics, the optimisers' states and the log of the steps are arrays; the recipe, the step, the state
of every random generator inside the models and the machine are JSON texts in the header. The order of the batches, and
noise that a step draws, need no state: seed and step decide them. Equal runs give equal bytes.
"""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from tinyres import optim
from tinyres.files import FileFormatError, load, load_metadata
from tinyres.files import save as save_file
from tinyres.training import machine, validation
from tinyres.training.resumable import Format, ResumableRun
from tinyres.training.validation import CheckpointError

NAME = "run.safetensors"  # in the folder of a run
LENGTH = {"steps", "epochs"}

R = TypeVar("R", bound=ResumableRun)


def save(run: ResumableRun, path: str | PathLike[str]) -> None:
    """Write the run; whatever happens meanwhile, `path` holds the old file or the new one.

    Raises:
        OSError: the disk is full or fails; the old file is as it was.
    """
    arrays, found = run.log()
    texts: dict[str, str] = {}
    for name, module in run.modules.items():
        arrays |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
    for name, optimizer in run.optimizers.items():
        key = _optimizer_key(run, name)
        moments, settings = optim.flat(optimizer.state_dict())
        arrays |= {f"{key}.{entry}": value for entry, value in moments.items()}
        texts[key] = settings["optimizer"]
    about = {
        "format": run.format.version,
        "recipe": None if run.recipe is None else run.recipe.to_json(),
        "step": run.step,
    }
    if run.scheduler is not None:
        about["schedule"] = run.scheduler.state_dict()
    about |= {"generators": _generator_states(run)} | found | {"machine": machine.machine(run.device, run.processes)}
    save_file(arrays, path, texts | {run.format.key: json.dumps(about)})


def resume(run: R, path: str | PathLike[str]) -> R:
    """Bring a freshly prepared run to where the saved one stood; returns it.

    Raises:
        CheckpointError: the file holds something else, a run of another recipe, or models or optimisers of another
            kind. The run is as it was.
        FileFormatError: the file is truncated or damaged.
        FileNotFoundError: there is no such file.
    """
    about, saved, texts = _read(path, run.format)
    if run.recipe is not None and saved is not None:
        refuse_another(path, run.recipe.differs_from(saved))
    arrays, before = load(path), run.snapshot()
    try:
        _restore(run, about, arrays, texts)
    except Exception as error:  # whatever the values of a damaged or foreign file lead to
        run.restore(before)
        kind = "" if isinstance(error, (ValueError, RuntimeError)) else f"{type(error).__name__} "
        reason = " ".join(f"{kind}{error}".split())
        raise CheckpointError(
            f"{path}: does not fit the models and optimisers of this run ({reason}). If another version of tinyres "
            "wrote it, train again in another folder"
        ) from error
    return run


def _restore(run: ResumableRun, about: dict[str, Any], arrays: dict[str, Any], texts: dict[str, str]) -> None:
    step = validation.check_step(about, run.total)
    saved_on = machine.read(about.get("machine"))
    if run.scheduler is not None:
        for _ in range(step):
            run.scheduler.step()
        validation.check_settings("its schedule", about["schedule"], run.scheduler.state_dict())
    for name, module in run.modules.items():
        module.load_state_dict(_pop(name, arrays))
    for name, optimizer in run.optimizers.items():
        key = _optimizer_key(run, name)
        state = optim.nested(_pop(key, arrays), {"optimizer": texts[key]}, len(optimizer.params))
        for group, expected in zip(state["param_groups"], optimizer.state_dict()["param_groups"], strict=False):
            validation.check_settings(f"the optimiser of the {name}", group, expected)
        optimizer.load_state_dict(state)
    for name, key, generator in run.generators():
        states = about["generators"] if run.format.one_model else about["generators"][name]
        generator.bit_generator.state = states[key]
    run.load_log(step, arrays, about)
    run.step, run.saved_on = step, saved_on


def saved_recipe(path: str | PathLike[str], form: Format) -> Any:
    """The recipe of a saved run, without building anything of it.

    Raises:
        CheckpointError: the file holds something else, weights of a smaller model than the recipe describes, or a run
            that was not made from a recipe.
        FileFormatError: the file is truncated or damaged.
        FileNotFoundError: there is no such file.
    """
    recipe = _read(path, form)[1]
    if recipe is None:
        raise CheckpointError(f"{path}: its models were built by hand; build them again, and call resume")
    validation.check_sizes(path, recipe)
    return recipe


def refuse_another(path: str | PathLike[str], different: dict[str, tuple[Any, Any]]) -> None:
    """Raise a CheckpointError that names what differs, {field: (here, there)}, if anything does."""
    if not different:
        return
    fields = ", ".join(f"{name} is {there!r} there and {here!r} here" for name, (here, there) in different.items())
    length = (
        "; a run cannot be lengthened, because its schedule depends on its length" if LENGTH & different.keys() else ""
    )
    raise CheckpointError(f"{path}: a run of another recipe ({fields}){length}; use the same one, or another folder")


def find(path: str | PathLike[str], form: Format) -> Path:
    """The checkpoint at `path`, or in the folder `path`.

    Raises:
        CheckpointError: it is a folder without one.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    if not (path / NAME).exists():
        raise CheckpointError(f"{path}: this folder holds no {NAME}; {form.otherwise}")
    return path / NAME


def part(name: str, arrays: dict[str, Any]) -> dict[str, Any]:
    """The arrays called `name.key`, by key."""
    return {key.removeprefix(f"{name}."): value for key, value in arrays.items() if key.startswith(f"{name}.")}


def _pop(name: str, arrays: dict[str, Any]) -> dict[str, Any]:
    found = part(name, arrays)
    for key in found:
        del arrays[f"{name}.{key}"]
    return found


def _read(path: str | PathLike[str], form: Format) -> tuple[dict[str, Any], Any, dict[str, str]]:
    """What the header says of the run, its recipe, and all texts of the header."""
    texts = load_metadata(path)
    try:
        about = json.loads(texts.get(form.key, "{}"))
    except (ValueError, RecursionError):  # another program's text of that name
        about = None
    if not isinstance(about, dict) or about.get("format") != form.version:
        raise CheckpointError(f"{path}: not a saved run, though it may be a model; {form.otherwise}")
    try:
        return about, None if about["recipe"] is None else form.recipe(**about["recipe"]), texts
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: this version cannot read its recipe: {error}") from error


def _optimizer_key(run: ResumableRun, name: str) -> str:
    return "optimizer" if run.format.one_model else f"optimizer of {name}"


def _generator_states(run: ResumableRun) -> dict[str, Any]:
    states: dict[str, Any] = {name: {} for name in run.modules}
    for name, key, generator in run.generators():
        states[name][key] = generator.bit_generator.state
    return next(iter(states.values())) if run.format.one_model else states


__all__ = [
    "NAME",
    "CheckpointError",
    "FileFormatError",
    "find",
    "part",
    "refuse_another",
    "resume",
    "save",
    "saved_recipe",
]
