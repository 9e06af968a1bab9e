"""Optimizer, the base class, and KernelOptimizer, whose steps are kernels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinyres.arrays import kernels_for, namespace
from tinyres.autograd.tensor import Array, Tensor, rebind, wrap
from tinyres.context import enable_grad
from tinyres.optim.counting import begin, counted
from tinyres.optim.devices import check_devices, in_dtype_of
from tinyres.optim.groups import checked_group, loaded_state, read_state
from tinyres.refusals.arguments import Explained, explain_words

State = dict[str, Any]  # the state of one parameter: arrays and step counts by name; empty before its first step


class Optimizer(Explained):
    """Base class: holds the parameters in groups, the settings of each group, and the state of each parameter.

        Adam(model.parameters(), lr=0.01)
        Adam([{"params": body.parameters()}, {"params": head.parameters(), "lr": 0.1}], lr=0.01)

    A group is a dict, as in PyTorch: `optimizer.param_groups[1]["lr"] = 0.02` counts from the next step on. What it
    does not say comes from the keywords. A setting is an attribute as well: `optimizer.lr` is the rate of all groups,
    and assigning it sets theirs. A subclass defines `update`; in there, `self.lr` is that of the parameter's group.

    Args:
        params: parameters, (name, parameter) pairs as of `named_parameters()`, or dicts of "params" and settings.
        settings: of the groups that do not say otherwise.

    Attributes:
        param_groups: the groups; params: all parameters, group by group; state: of each of these.
        defaults: the settings that a new group gets.

    Raises:
        ValueError: there are no parameters, one occurs twice or in two groups, or a setting is out of range.
        TypeError: a parameter is not a leaf tensor of a floating dtype.
    """

    settings: tuple[str, ...] = ()
    lr: float
    weight_decay: float
    _turn: dict[str, Any] | None = None  # the group whose parameters are being updated

    def __init__(self, params: Iterable[Any], **settings: Any) -> None:
        kind = type(self).__name__
        if hasattr(params, "parameters"):
            raise TypeError(f"{kind}: got a module; pass its parameters: {kind}(model.parameters(), ...)")
        if isinstance(params, Tensor) or not isinstance(params, Iterable):
            got = f"a tensor of shape {params.shape}" if isinstance(params, Tensor) else f"{params!r:.80}"
            raise TypeError(f"{kind}: params must be a list of parameters, as model.parameters() or [p], got {got}")
        self.settings, self.defaults = tuple(settings), settings
        self.param_groups: list[dict[str, Any]] = []
        self.state: list[State] = []
        begin(self)
        given: list[Any] = [params] if isinstance(params, dict) else list(params)
        for group in given if given and isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)
        if not self.params:
            raise ValueError(
                f"{kind}: there are no parameters; a generator can be used only once, and modules in a plain list are "
                "not found: put them into nn.ModuleList"
            )

    @property
    def params(self) -> list[Tensor]:
        """All parameters, group by group."""
        return [p for group in self.param_groups for p in group["params"]]

    def rates(self, form: str = ".3g") -> str:
        """The learning rate of every group as a text, one number if it is the same in all."""
        return ", ".join(dict.fromkeys(f"{group['lr']:{form}}" for group in self.param_groups))

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add parameters with settings of their own: {"params": ..., "lr": ...}. Errors are those of the class."""
        group = checked_group(type(self).__name__, param_group, self.defaults, self.params)
        self.check_group(group)
        self.param_groups.append(group)
        self.state.extend({} for _ in group["params"])

    def check_group(self, group: Mapping[str, Any]) -> None:
        """Raise a ValueError if the settings of a new group do not go together."""

    def __getattr__(self, name: str) -> Any:
        """A setting, as it is in all groups; while a step is taken, in the group of the parameter."""
        if name not in self.__dict__.get("settings", ()):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        groups = self.param_groups if self._turn is None else [self._turn]
        if any(group[name] != groups[0][name] for group in groups):
            raise AttributeError(
                f"{type(self).__name__}.{name}: it differs between the groups, {[group[name] for group in groups]}: "
                f"read optimizer.param_groups[i][{name!r}]"
            )
        return groups[0][name]

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.settings:
            for group in self.param_groups:
                group[name] = value
        else:
            object.__setattr__(self, name, value)

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "step" in vars(cls):
            cls.step = counted(cls.step)  # type: ignore[method-assign]

    @counted
    @explain_words
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient. If an error is raised, no parameter has changed.

        Args:
            closure: called first, to compute gradients and return the loss, which `step` then returns.

        Raises:
            ValueError: a gradient and its parameter differ in shape.
            RuntimeError: a parameter, its gradient and its state are not on one device.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        ready, states = list[Ready](), iter(enumerate(self.state))
        for group in self.param_groups:
            for p, (i, state) in zip(group["params"], states, strict=False):
                if p.grad is None:
                    continue
                if p.grad.shape != p.shape:
                    raise ValueError(
                        f"{type(self).__name__}: params[{i}] has shape {p.shape}, its .grad {p.grad.shape}; they must "
                        "agree"
                    )
                check_devices(type(self).__name__, i, p, state)
                ready.append(Ready(p, in_dtype_of(p, p.grad.data, state), state, group))
        try:
            self._take(ready)
        finally:
            self._turn = None
        return loss

    def _take(self, ready: list[Ready]) -> None:
        """Take the step of these parameters, with gradients and states that have been checked."""
        for p, g, state, self._turn in ready:
            rebind(p, self.update(p.data, g, state))

    def update(self, p: Array, g: Array, state: State) -> Array:
        """The new array of a parameter; keeps what the next step needs in `state`. It must not write into p or g."""
        raise NotImplementedError(f"{type(self).__name__} must define update")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set `.grad = None` for every parameter; with set_to_none=False, to zeros where there is one."""
        for p in self.params:
            p.grad = None if set_to_none or p.grad is None else wrap(namespace(p._data).zeros_like(p._data))

    def state_dict(self) -> dict[str, Any]:
        """States and groups in PyTorch's form. It does not change later: steps make new arrays.

        {"state": {i: {name: array or number}}, "param_groups": [{..., "params": [numbers i of its parameters]}]}
        """
        numbers = iter(range(len(self.state)))
        groups = [{**group, "params": [next(numbers) for _ in group["params"]]} for group in self.param_groups]
        return {"state": {i: dict(state) for i, state in enumerate(self.state) if state}, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the result of `state_dict`, here or in PyTorch, of the same kind of optimiser with the same groups.

        Arrays take the device, the dtype and the memory layout of their parameter.

        Raises:
            ValueError: settings, number of groups or parameters or a shape differ, or PyTorch's amsgrad or maximize was
                on; then nothing is changed.
        """
        what = f"{type(self).__name__}.load_state_dict"
        groups, states = read_state(what, state_dict, self.settings, [len(g["params"]) for g in self.param_groups])
        loaded = [loaded_state(what, i, p, state) for i, (p, state) in enumerate(zip(self.params, states, strict=True))]
        for group, saved in zip(self.param_groups, groups, strict=True):
            group.update(saved)
        for own, state in zip(self.state, loaded, strict=True):  # keep the dictionaries: a captured step refers to them
            own.clear()
            own.update(state)


class Ready(NamedTuple):
    """A parameter that takes a step: with its gradient, its state and its group."""

    p: Tensor
    g: Array
    state: State
    group: dict[str, Any]


class Call(NamedTuple):
    """The arguments of a kernel for one parameter: arrays and settings. `out` and `state` are the new parameter and
    state, uninitialised until the kernel has run."""

    arrays: tuple[Array | None, ...]
    settings: Any
    out: Array
    state: State


class Captured(NamedTuple):
    """A launch in a captured graph.

    Attributes:
        numbers: (settings) -> the numbers that the kernel reads from memory.
        group: that its parameters are in.
        states: those of its parameters.
        lines: the arrays on the GPU that hold these numbers.
    """

    numbers: Callable[..., tuple[float, ...]]
    group: dict[str, Any]
    states: list[State]
    lines: list[Array]


class KernelOptimizer(Optimizer):
    """An optimiser whose step is a kernel. On a GPU, one launch updates all parameters that share dtype and a group; on
    the CPU SGD and Adam take some at a time, as many as have half a million numbers.

    All new arrays of a launch exist before the first old one is freed.
    """

    kernel: str
    captured: list[Captured] | None = None  # a list while `tr.compile` captures a step

    def how(self, group: Mapping[str, Any], step: int) -> Any:
        """The kernel's settings for a parameter of the group whose step count is `step`."""
        raise NotImplementedError(f"{type(self).__name__} must define how")

    def call(self, p: Array, g: Array, state: State, group: Mapping[str, Any]) -> Call:
        """The arguments of the kernel for this parameter."""
        raise NotImplementedError(f"{type(self).__name__} must define call")

    def update(self, p: Array, g: Array, state: State) -> Array:
        assert self._turn is not None
        call = self.call(p, g, state, self._turn)
        getattr(kernels_for(p, g), self.kernel)(*call.arrays, call.settings)
        state.update(call.state)
        return call.out

    def _take(self, ready: list[Ready]) -> None:
        if type(self).update is not KernelOptimizer.update:  # a subclass has its own, for one parameter at a time
            return super()._take(ready)
        launches: dict[Any, list[tuple[Ready, Call]]] = {}
        waiting = Counter[Any]()  # numbers that the parameters of a launch have
        for entry in ready:
            p, g, state, self._turn = entry
            many = getattr(kernels_for(p.data, g), "MANY", {}).get(self.kernel)
            if self.captured is not None and getattr(many, "numbers", None) is None:
                raise RuntimeError(
                    f"{type(self).__name__} needs kernels that read the learning rate from memory to be captured: "
                    "install numba-cuda, and do not force other kernels by `with tr.kernels(...)`"
                )
            if many is None:
                rebind(p, self.update(p.data, g, state))
                continue
            call = self.call(p.data, g, state, entry.group)
            # By the group, too: two that are alike now need not stay so, and a captured launch has one's settings.
            key = many, call.settings, id(entry.group)
            launches.setdefault(key, []).append((entry, call))
            waiting[key] += p.size
            if waiting[key] > many.most:
                del waiting[key]
                self._launch(many, call.settings, launches.pop(key))
        for (many, settings, _), entries in launches.items():
            self._launch(many, settings, entries)

    def _launch(self, many: Any, settings: Any, entries: list[tuple[Ready, Call]]) -> None:
        """Update these parameters at once."""
        lines: list[Array] | None = None if self.captured is None else []
        many.launch([call.arrays for _, call in entries], settings, lines)
        for entry, call in entries:
            entry.state.update(call.state)
            rebind(entry.p, call.out)
        if self.captured is not None and lines is not None:
            states = [entry.state for entry, _ in entries]
            self.captured.append(Captured(many.numbers, entries[0][0].group, states, lines))

    def prepare(self, launches: Iterable[Captured], steps: int) -> None:
        """Before a captured step is launched: add `steps` to the step counts, and write the settings to the GPU."""
        for launch in launches:
            for state in launch.states:
                if "step" in state:
                    state["step"] += steps
            numbers = launch.numbers(self.how(launch.group, launch.states[0].get("step", 0)))
            for line in launch.lines:
                line.set(np.asarray(numbers, line.dtype))


__all__ = ["Call", "Captured", "KernelOptimizer", "Optimizer", "State"]
