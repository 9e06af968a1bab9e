"""ResumableRun: what a training must offer to be saved between two steps and resumed bit for bit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np

from tinyres import nn, optim
from tinyres.autograd.tensor import Array
from tinyres.optim.schedules import LRScheduler


class Format(NamedTuple):
    """How the checkpoint of one kind of run looks.

    Attributes:
        key: the text in the file's header that describes the run.
        version: the "format" that this text names.
        recipe: builds the recipe from its fields.
        otherwise: what to tell a reader whose file holds no such run.
        one_model: there is one model with one optimiser, which need no names of their own in the file.
    """

    key: str
    version: str
    recipe: Callable[..., Any]
    otherwise: str
    one_model: bool


class ResumableRun(ABC):
    """A training on its way: `Run` of a classifier, `GANTrainer` of two players.

    Attributes:
        step: how many steps were taken, of `total`.
        recipe: what the run was prepared from; None where it was put together by hand.
        scheduler: of the learning rate, if it changes.
        processes: how many take each step together.
        saved_on: the machine that saved the run from which this one was resumed; None where the file does not say.
    """

    format: ClassVar[Format]
    recipe: Any
    total: int
    step: int = 0
    scheduler: LRScheduler | None = None
    processes: int = 1
    saved_on: dict[str, str | int] | None = None

    @property
    @abstractmethod
    def modules(self) -> dict[str, nn.Module]:
        """Every model of the run, by name."""

    @property
    @abstractmethod
    def optimizers(self) -> dict[str, optim.Optimizer]:
        """Their optimisers, by the name of the model."""

    @abstractmethod
    def steps(self) -> Iterator[Any]:
        """Take one step for each item asked for. Between two items the run can be saved."""

    @abstractmethod
    def log(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What the steps so far have found: arrays by name, and JSON values by name."""

    @abstractmethod
    def load_log(self, step: int, arrays: dict[str, Array], about: dict[str, Any]) -> None:
        """Take back what `log` gave at this step. The file may be damaged or foreign: raises ValueError or KeyError."""

    @property
    def device(self) -> str:
        """Where the models are, and so where batches are brought to."""
        return next(next(iter(self.modules.values())).parameters()).device

    def generators(self) -> list[tuple[str, str, np.random.Generator]]:
        """Every random generator inside the models: (model, name of the module and its attribute, generator)."""
        return [
            (model, f"{name}.{attribute}" if name else attribute, value)
            for model, whole in self.modules.items()
            for name, module in whole.named_modules()
            for attribute, value in vars(module).items()
            if isinstance(value, np.random.Generator)
        ]

    def snapshot(self) -> dict[str, Any]:
        """Everything that a step changes, besides the log. Costs no copy: a step rebinds arrays, it never writes into
        one."""
        return {
            "modules": {name: module.state_dict() for name, module in self.modules.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "scheduler": self.scheduler.state_dict() if self.scheduler is not None else None,
            "generators": [generator.bit_generator.state for _, _, generator in self.generators()],
        }

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go back to a snapshot."""
        for name, module in self.modules.items():
            module.load_state_dict(snapshot["modules"][name])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(snapshot["optimizers"][name])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(snapshot["scheduler"])
        for (_, _, generator), state in zip(self.generators(), snapshot["generators"], strict=True):
            generator.bit_generator.state = state


__all__ = ["Format", "ResumableRun"]
