"""summary: a table of a model's layers, output shapes and parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyres.arrays import to_device
from tinyres.autograd.tensor import wrap
from tinyres.context import no_grad
from tinyres.nn.module import Module


@dataclass(slots=True)
class Row:
    """One call of a module: name, class, output shape, and the number of its own parameters that are not listed yet."""

    name: str
    kind: str
    shape: tuple[int, ...] | None = None
    parameters: int = 0

    @property
    def cells(self) -> tuple[str, str, str]:
        depth = self.name.count(".") + bool(self.name)
        name = "  " * depth + f"{self.name.rpartition('.')[2]}: {self.kind}" if self.name else self.kind
        return name, str(self.shape), f"{self.parameters:,}" if self.parameters else ""


@dataclass(frozen=True, slots=True)
class Summary:
    """The rows, in the order of the calls. Prints as plain text, and with `rich.print` as a table."""

    rows: list[Row]
    total: int

    def __str__(self) -> str:
        lines = [("layer", "output shape", "parameters"), *(row.cells for row in self.rows)]
        end = ("total", "", f"{self.total:,}")
        a, b, c = (max(len(line[k]) for line in [*lines, end]) for k in range(3))
        text = [f"{x:<{a}}  {y:<{b}}  {z:>{c}}".rstrip() for x, y, z in [*lines, end]]
        rule = "-" * (a + b + c + 4)
        return "\n".join([text[0], rule, *text[1:-1], rule, text[-1]])

    __repr__ = __str__

    def __rich__(self) -> Any:
        from rich.table import Table

        table = Table("layer", "output shape", show_footer=True)
        table.add_column("parameters", justify="right", footer=f"{self.total:,}")
        table.columns[0].footer = "total"
        for row in self.rows:
            table.add_row(*row.cells)
        return table


def summary(model: Module, input_shape: tuple[int, ...]) -> Summary:
    """Run zeros of `input_shape` (batch included) through a model, and list the modules that are called.

    The run is in evaluation mode and unrecorded, so it changes neither running statistics nor generators. Afterwards
    each module is in its previous mode.
    """
    first = next(model.parameters(), None)
    zeros = np.zeros(input_shape, np.float32 if first is None else first.dtype)
    x = wrap(zeros if first is None else to_device(zeros, first.device))
    rows: list[Row] = []
    listed: set[int] = set()
    before = [(module, module.training, module.__dict__.get("forward")) for module in model.modules()]
    try:
        for name, module in model.named_modules():
            module.__dict__["forward"] = _noting(module, name, rows, listed)
        model.eval()
        with no_grad():
            model(x)
    finally:
        for module, mode, own in before:
            module.training = mode
            if own is None:
                module.__dict__.pop("forward", None)
            else:  # the instance has one, as instruments give it
                module.__dict__["forward"] = own
    return Summary(rows, model.parameter_count())


def _noting(module: Module, name: str, rows: list[Row], listed: set[int]) -> Callable[..., Any]:
    forward = module.forward

    def run(*args: Any, **kwargs: Any) -> Any:
        row = Row(name, type(module).__name__)
        rows.append(row)  # before the call: a parent stands above its children
        fresh = {id(p): p.size for p in module.parameters(recurse=False) if id(p) not in listed}
        listed.update(fresh)
        row.parameters = sum(fresh.values())
        y = forward(*args, **kwargs)
        row.shape = tuple(y.shape) if hasattr(y, "shape") else None
        return y

    return run


__all__ = ["Row", "Summary", "summary"]
