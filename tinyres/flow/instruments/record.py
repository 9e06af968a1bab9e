"""What passes through a model's blocks on the way back: `with flow.record(model) as recording: loss.backward()`."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres import nn
from tinyres.autograd.observe import Observer
from tinyres.node import Node
from tinyres.tensor import Array, raw


def _size(value: Any) -> float:
    flat = raw(value).ravel()
    return float((flat @ flat) ** 0.5)


class Recording(Observer):
    """Gradient norms at the blocks of a model, and by which route they came.

    Attributes:
        blocks: dotted names of what is watched, in the order of the forward pass.
        gradient: {block: |dL/d output|}, the norm of the whole batch's gradient at the block's output.
        residual: dotted names of the model's residual connections, likewise.
        routes: {residual connection: {"skip": |contribution|, "branch": |contribution|}} where its routes rejoin: at
            its input. Only connections of type `nn.Residual` have routes.

    Costs two look-ups for each operation, and one pass over the gradient at each block's output and input.
    """

    def __init__(self, model: nn.Module, blocks: list[str] | None = None) -> None:
        names = {name for name, _ in model.named_modules()}
        if blocks is None:
            inside = getattr(model, "blocks", model)
            start = "" if inside is model else "blocks."
            blocks = [start + name for name, _ in inside.named_children()] or [""]
        unknown = [name for name in blocks if name not in names]
        if unknown or not blocks:
            known = ", ".join(sorted(names - {""})[:8]) or "'' (the model itself)"
            raise ValueError(f"record: no blocks called {unknown}; name modules of the model, such as {known}")
        self.blocks = blocks
        self.residual = [name for name, module in model.named_modules() if isinstance(module, nn.Residual)]
        self._enclosing: dict[str | None, tuple[list[str], list[str]]] = {}
        self.clear()

    def clear(self) -> None:
        """Forget what was recorded, before the next step."""
        self._output: dict[str, Node] = {}
        self._watched: dict[Node, list[str]] | None = None
        self.gradient: dict[str, float] = {}
        self._routes: dict[str, dict[str, Any]] = {}

    @property
    def routes(self) -> dict[str, dict[str, float]]:
        found = [(name, self._routes[name]) for name in self.residual if name in self._routes]
        return {name: {role: _size(c) for role, c in roles.items()} for name, roles in found}

    def skip_share(self) -> dict[str, float]:
        """|skip| / (|skip| + |branch|) for each residual connection; NaN where both are 0."""
        sizes = {name: (r.get("skip", 0.0), r.get("branch", 0.0)) for name, r in self.routes.items()}
        return {name: skip / (skip + branch) if skip + branch else np.nan for name, (skip, branch) in sizes.items()}

    def gradient_norms(self) -> Array:
        """The norms in the order of `blocks`; NaN where nothing arrived."""
        return np.array([self.gradient.get(name, np.nan) for name in self.blocks])

    # -- what the tape tells ----------------------------------------------------------------------------------------
    def on_forward(self, node: Node, value: Array) -> None:
        blocks, _ = self._around(node.path)
        for name in blocks:
            self._output[name] = node  # the last operation inside a block makes its output
        self._watched = None

    def on_edge(self, consumer: Node, arg_index: int, producer: Node, contribution: Any) -> None:
        _, residual = self._around(consumer.path)
        if not residual or _is_parameter(producer):
            return
        inside = self._around(producer.path)[1]
        for name in residual:
            if name in inside:
                continue  # not yet at the block's input
            role = _role(name, consumer, arg_index)
            if role is not None:
                so_far = self._routes.setdefault(name, {}).get(role)
                self._routes[name][role] = contribution if so_far is None else so_far + contribution

    def on_cotangent(self, node: Node, total: Any) -> None:
        if self._watched is None:
            self._watched = {}
            for name, output in self._output.items():
                self._watched.setdefault(output, []).append(name)
        for name in self._watched.get(node, ()):
            self.gradient[name] = _size(total)

    def _around(self, path: str | None) -> tuple[list[str], list[str]]:
        """The watched blocks, and the residual connections, that the path lies in."""
        found = self._enclosing.get(path)
        if found is None:
            parts = (path or "").split(".")
            names = {".".join(parts[:k]) for k in range(len(parts) + 1)} if path is not None else set()
            found = [b for b in self.blocks if b in names], [r for r in self.residual if r in names]
            self._enclosing[path] = found
        return found


def _is_parameter(node: Node) -> bool:
    return node.owner is not None and isinstance(node.owner(), nn.Parameter)


def _role(residual: str, consumer: Node, arg_index: int) -> str | None:
    """By which route of `residual` a contribution from `consumer` reaches the connection's input."""
    if consumer.path == residual:
        return consumer.roles[arg_index] if consumer.roles else None
    start = f"{residual}." if residual else ""
    rest = (consumer.path or "")[len(start) :]
    return {"branch": "branch", "shortcut": "skip"}.get(rest.partition(".")[0])


def record(model: nn.Module, blocks: list[str] | None = None) -> Recording:
    """Watch a model's blocks inside a `with` block.

    Args:
        model: any module; it is not changed.
        blocks: dotted names of the modules to watch; default: the children of `model.blocks`, or else of the model.
    """
    return Recording(model, blocks)
