"""`Event`: one step of a backward pass, as `backward_events` yields it and a page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tinyres.arrays import to_device
from tinyres.autograd.node import Node
from tinyres.autograd.tensor import raw


@dataclass(frozen=True, slots=True)
class Event:
    """One step of a backward pass: a rule of `consumer` ran, or its result was added to `producer`'s cotangent."""

    kind: Literal["rule", "accumulate"]
    consumer: Node
    arg_index: int
    producer: Node
    contribution: Any
    total: Any = None  # the producer's cotangent so far (accumulate)

    @property
    def role(self) -> str | None:
        return self.consumer.roles[self.arg_index] if self.consumer.roles else None

    def __str__(self) -> str:
        role = f" [{self.role}]" if self.role else ""
        path = f" in {self.consumer.path}" if self.consumer.path else ""
        edge = f"{self.consumer.name} #{self.consumer.serial}{path}, argument {self.arg_index}{role}"
        size = _norm(self.contribution)
        if self.kind == "rule":
            return f"rule        {edge}: sends |g| = {size:.4g} to {self.producer.name} #{self.producer.serial}"
        total = _norm(self.total)
        return f"accumulate  {self.producer.name} #{self.producer.serial}: += |g| = {size:.4g}, now {total:.4g}"


def _norm(value: Any) -> float:
    return float(np.linalg.norm(np.ravel(to_device(raw(value), "cpu"))))
