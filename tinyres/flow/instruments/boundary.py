"""Where one training step ends and the next begins, in a `with recording:` around a whole loop.

After a backward pass through the model, it is called again, and its parameters have changed: a new step, if the call is
like the step's first, on data or on what other layers computed. Where an optimiser holds the parameters, it must have
taken a step in between. So these stay one step:

    accumulation of gradients      nothing has changed when the model is called again; nor where an update is skipped
    two passes for one update      SAM moves the weights, calls the model and moves them back: no step of the optimiser
    closures, as those of LBFGS    the optimiser calls the model several times before its step is over
    a step of a GAN                D is trained on data, and then called on what G has made: not as the step began
    two players in one module      one is called again, but only the other has changed, or has yet to
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tinyres import nn
from tinyres.autograd.node import Node
from tinyres.autograd.tensor import Tensor, raw
from tinyres.optim.counting import steps_taken


class Boundary:
    """Follows the calls of a model from the start of a step; NumPy's arrays are not kept alive.

    Attributes:
        reached: whether a backward pass has reached one of the model's parameters.
        unclear: how often parameters had changed again, but the call was none that begins a step.
        taken: the steps that each optimiser of its parameters had taken when the step began.
        by_hand: how often the model was called after changes that no optimiser had made, though one holds parameters.
    """

    def __init__(self, model: nn.Module) -> None:
        self.unclear = self.by_hand = 0
        self.reached = False
        self._model = model
        parameters = list(model.parameters())
        self._leaves: dict[Any, nn.Parameter] = {p.node: p for p in parameters if p.node is not None}
        self._with_gradient: dict[int, nn.Parameter] = {}
        self._began_on_data: bool | None = None  # until the first call
        self._start = self._latest = _versions(parameters)
        self.taken = steps_taken(parameters)

    def on_cotangent(self, leaf: Node) -> None:
        """A backward pass has reached a leaf."""
        parameter = self._leaves.get(leaf)
        if parameter is not None:
            self.reached = True
            self._with_gradient[id(parameter)] = parameter

    def crossed(self, module: nn.Module, values: Iterable[Any]) -> bool:
        """Whether this call of the model, or of a part of it, with these arguments, begins a new step."""
        on_data = not any(map(_computed, values))
        if self._began_on_data is None:
            self._began_on_data = on_data
        if not self.reached or not any(_changed(p, self._start) for p in module.parameters()):
            return False
        if self.taken and not self._stepped():
            if any(_changed(p, self._latest) for p in module.parameters()):
                self.by_hand += 1
                self._latest = _versions(self._model.parameters())
            return False
        others = () if module is self._model else self._with_gradient.values()
        if on_data == self._began_on_data and all(_changed(p, self._start) for p in others):
            return True
        if any(_changed(p, self._latest) for p in module.parameters()):
            self.unclear += 1
            self._latest = _versions(self._model.parameters())
        return False

    def _stepped(self) -> bool:
        """Whether an optimiser of the parameters has taken a step since this one began."""
        now = steps_taken(self._model.parameters())
        return any(now.get(optimizer) != taken for optimizer, taken in self.taken.items())

    def doubts(self, step: int) -> str | None:
        """What to say where it was unclear, more than once, whether a step begins."""
        if self.by_hand > 1 and not self._stepped():
            return (
                f"record: step {step} goes on over {self.by_hand} changes of the parameters that no optimiser made, "
                f"though {' and '.join(type(o).__name__ for o in self.taken)} holds them. If these were steps of "
                "their own, put `with recording:` around each"
            )
        if self.unclear > 1:
            return (
                f"record: step {step} goes on over {self.unclear} changes of the parameters: after each, the model was "
                "called otherwise than when the step began, or some parameters had a gradient and did not change. If "
                "these were steps of their own, put `with recording:` around each"
            )
        return None


def uneven(model: nn.Module, before: Mapping[Any, int], steps: int) -> str | None:
    """What to say of a loop in which one optimiser took several steps for one of another, as the critic of a WGAN."""
    counts = [taken - before.get(o, 0) for o, taken in steps_taken(model.parameters()).items()]
    counts = sorted({count for count in counts if count}, reverse=True)
    if len(counts) < 2:
        return None
    return (
        f"record: counted {steps} steps, while the optimisers of the model took {' and '.join(map(str, counts))}. If "
        "several updates are one step for you, put `with recording:` around all that belongs to it"
    )


Versions = dict[int, tuple[Callable[[], Any], Any, Any]]


def _versions(parameters: Iterable[nn.Parameter]) -> Versions:
    """Of each parameter the array that it is bound to, which is never written into, with its dtype and device."""
    return {id(p): (_reference(raw(p)), p.dtype, p.device) for p in parameters}


def _reference(array: Any) -> Callable[[], Any]:
    """The array as long as anybody else holds it; of a kind that cannot be referred to weakly, for good."""
    try:
        return weakref.ref(array)
    except TypeError:
        return lambda: array


def _changed(p: nn.Parameter, then: Versions) -> bool:
    """Whether a parameter has new values; another dtype or device does not count."""
    array, dtype, device = then.get(id(p), (None, None, None))
    return array is not None and array() is not raw(p) and (p.dtype, p.device) == (dtype, device)


def _computed(value: Any) -> bool:
    """Whether a backward pass goes on through the value, beyond the model."""
    if isinstance(value, (list, tuple)):
        return any(map(_computed, value))
    return isinstance(value, Tensor) and value.node is not None and value.node.primitive is not None


__all__ = ["Boundary", "uneven"]
