"""Everything in a training step that is no convolution: it streams memory, and is half of the time.

A `Stream` is measured as its users meet it: the pools as kernels on arrays, what is composed or fused as the public
operation, forward and backward. A new kernel is a new entry in `streams()`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tinyres import arrays, nn
from tinyres.bench import library, peers
from tinyres.bench.clocks import Call
from tinyres.bench.device import empty, on_host
from tinyres.bench.library import Library
from tinyres.bench.race import OURS, Peer

Images = tuple[int, int, int, int]  # (N, H, W, C)
CLASSES = 100


class Stream(NamedTuple):
    """Ours, and PyTorch's in a memory format; both give one result, in PyTorch's order of axes, to be compared.

    bytes: the compulsory traffic of a call. What a pass, forward or backward, reads or writes goes by once.
    """

    name: str
    ours: Callable[..., Call]  # (device, seed)
    pytorch: Callable[..., Call]  # (channels_last, device, seed)
    bytes: int

    def peers(self, torch: Any | None, device: str = "cpu", many: int = 1) -> dict[str, Peer]:
        """Ours and PyTorch's formats, on `many` different inputs."""
        found = {OURS: Peer([self.ours(device, seed) for seed in range(many)], read=on_host)}
        for name, last, before in peers.rivals(torch):
            found[name] = Peer([self.pytorch(last, device, seed) for seed in range(many)], before, on_host)
        return found


def streams(images: Images, parameters: int, rows: int) -> list[Stream]:
    """All of them, at these sizes."""
    made = [_pool(kind, images, backward) for kind in ("max", "avg") for backward in (False, True)]
    made += [_batch_norm(images, residual) for residual in (False, True)]
    made += [_cross_entropy(rows), *(_softmax(rows, log) for log in (False, True))]
    made += [_activation(name, images) for name in ACTIVATIONS]
    length = max(2, rows // 8)  # of one key the weight is 1, whatever the query: its gradient is 0
    made += [_attention(length, causal) for causal in (False, True)]
    made += [_update(kind, parameters, settings) for kind, settings in OPTIMISERS.items()]
    return made


def _written_once(name: str, make: Callable[[Library, int], Call], traffic: int) -> Stream:
    """One that both libraries are asked for in the same words."""

    def ours(device: str = "cpu", seed: int = 0) -> Call:
        return make(library.ours(device), seed)

    def pytorch(channels_last: bool, device: str = "cpu", seed: int = 0) -> Call:
        return make(library.pytorch(channels_last, device), seed)

    return Stream(name, ours, pytorch, traffic)


def _numbers(shape: Sequence[int], *seed: int) -> Any:
    """Normal numbers, an array of the caller's own."""
    return _drawn(tuple(shape), seed).copy()


@lru_cache(maxsize=8)  # a work's, of two sets of inputs: all peers get the same, and drawing takes longer than they do
def _drawn(shape: tuple[int, ...], seed: tuple[int, ...]) -> Any:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def _distinct(shape: Sequence[int], *seed: int) -> Any:
    """Numbers of which no two are equal, so that every window has one maximum."""
    count = math.prod(shape)
    return (np.random.default_rng(seed).permutation(count).astype(np.float32) / count).reshape(shape)


def _far_from_0(images: Images, seed: int) -> tuple[Any, Any, Any]:
    """What is normalised, a cotangent, and a skip of the same signs: no sum of the two comes near the ReLU's kink."""
    image, g, other = (_numbers(images, seed, i) for i in range(3))
    return image + np.copysign(np.float32(0.5), image), g, np.copysign(other, image)


def _first(array: Any) -> Any:
    return array.transpose(0, 3, 1, 2)  # (N, H, W, C) -> (N, C, H, W)


def _pool(kind: str, images: Images, backward: bool) -> Stream:
    """3x3 at stride 2, padded, as ImageNet's nets use it; or the mean of 2x2."""
    N, H, W, C = images
    size, pad = (3, 1) if kind == "max" else (2, 0)
    windows = (N, (H + 2 * pad - size) // 2 + 1, (W + 2 * pad - size) // 2 + 1, C)
    how: dict[str, Any] = {"kernel": (size, size), "stride": (2, 2), "padding": (pad, pad)}
    how |= {"dilation": (1, 1)} if kind == "max" else {"count_include_pad": True}
    draw = _distinct if kind == "max" else _numbers

    def ours(device: str = "cpu", seed: int = 0) -> Call:
        x, g = (arrays.to_device(a, device) for a in (draw(images, seed, 0), _numbers(windows, seed, 1)))
        rung = arrays.kernels_for(x)
        if kind == "avg":
            if backward:
                return lambda: _first(rung.avg_pool2d_dx(g, arrays.empty(images, x), **how))
            return lambda: _first(rung.avg_pool2d(x, arrays.empty(windows, x), **how))
        winners = empty(windows, np.int32, device)
        rung.max_pool2d(x, arrays.empty(windows, x), winners, **how)
        if backward:
            return lambda: _first(rung.max_pool2d_dx(g, winners, arrays.empty(images, x), **how))
        return lambda: _first(rung.max_pool2d(x, arrays.empty(windows, x), empty(windows, np.int32, device), **how))

    def pytorch(channels_last: bool, device: str = "cpu", seed: int = 0) -> Call:
        import torch

        put = library.pytorch(channels_last, device).put
        image, cotangent = (put(_first(a)) for a in (draw(images, seed, 0), _numbers(windows, seed, 1)))
        aten: Any = torch.ops.aten
        two, taps, margin = [2, 2], [size, size], [pad, pad]
        if kind == "avg":
            if backward:
                return lambda: aten.avg_pool2d_backward(cotangent, image, taps, two, margin, False, True, None)
            return lambda: aten.avg_pool2d(image, taps, two, margin)
        index = aten.max_pool2d_with_indices(image, taps, two, margin)[1]
        if backward:
            function = aten.max_pool2d_with_indices_backward
            return lambda: function(cotangent, image, taps, two, margin, [1, 1], False, index)
        return lambda: aten.max_pool2d_with_indices(image, taps, two, margin)[0]

    traffic = 4 * (math.prod(images) + (2 if kind == "max" else 1) * math.prod(windows))
    return Stream(f"{kind} pool {size}x{size}, stride 2{', dx' if backward else ''}", ours, pytorch, traffic)


def _batch_norm(images: Images, residual: bool) -> Stream:
    """relu(batch_norm(x)), or relu(batch_norm(x) + skip), in training, forward and backward; gives dx."""

    def make(lib: Library, seed: int) -> Call:
        norm = lib.nn.BatchNorm2d(images[-1]).to(lib.device)
        image, g, other = (lib.put(_first(a)) for a in _far_from_0(images, seed))
        leaves = [image.requires_grad_(), *norm.parameters(), *([other.requires_grad_()] if residual else [])]

        def fused() -> Any:
            return norm(image, residual=other if residual else None, relu=True)

        def composed() -> Any:
            return lib.ops.relu(norm(image) + other if residual else norm(image))

        forward = fused if lib.nn is nn else composed
        return lambda: lib.grad(forward(), leaves, g)[0]

    # Forward: x (and skip), y. Backward: g, x, where y is positive (counted as y), dx (and skip's).
    passes = 8 if residual else 6
    name = f"batch norm{' + skip' if residual else ''} + ReLU, fwd + bwd"
    return _written_once(name, make, 4 * passes * math.prod(images))


def _cross_entropy(rows: int) -> Stream:
    """Logits (rows, 100), forward and backward; gives the logits' gradient."""
    labels = np.random.default_rng(0).integers(0, CLASSES, rows)

    def make(lib: Library, seed: int) -> Call:
        logits, target = lib.put(_numbers((rows, CLASSES), seed)).requires_grad_(), lib.put(labels)
        return lambda: lib.grad(lib.ops.cross_entropy(logits, target), [logits])[0]

    # Forward: logits, and the probabilities kept. Backward: those, and the logits' gradient.
    return _written_once(f"cross-entropy of {rows} x {CLASSES}, fwd + bwd", make, 4 * 4 * rows * CLASSES)


def _softmax(rows: int, log: bool) -> Stream:
    """Of numbers (rows, 100), forward and backward; gives their gradient."""
    name = "log_softmax" if log else "softmax"

    def make(lib: Library, seed: int) -> Call:
        x, g = (lib.put(_numbers((rows, CLASSES), seed, i)) for i in range(2))
        function, leaves = getattr(lib.ops, name), [x.requires_grad_()]
        return lambda: lib.grad(function(x, -1), leaves, g)[0]

    # Forward: x, y. Backward: g, y, dx.
    return _written_once(f"{name} of {rows} x {CLASSES}, fwd + bwd", make, 4 * 5 * rows * CLASSES)


ACTIVATIONS: dict[str, dict[str, Any]] = {
    "tanh": {},
    "sigmoid": {},
    "gelu": {},
    "gelu, tanh": {"approximate": "tanh"},
    "silu": {},
    "softplus": {},
}


def _activation(name: str, images: Images) -> Stream:
    """Of as many numbers as the images have, forward and backward; gives their gradient."""

    def make(lib: Library, seed: int) -> Call:
        x, g = (lib.put(_numbers((math.prod(images),), seed, i)) for i in range(2))
        function, leaves = getattr(lib.ops, name.partition(",")[0]), [x.requires_grad_()]
        return lambda: lib.grad(function(x, **ACTIVATIONS[name]), leaves, g)[0]

    # Forward: x, y. Backward: g, x or y, dx.
    return _written_once(f"{name}, fwd + bwd", make, 4 * 5 * math.prod(images))


def _attention(length: int, causal: bool) -> Stream:
    """Of 8 heads of width 64, a batch of 4, forward and backward; gives the gradient of the query."""
    heads, width = (4, 8), 64
    shape = (math.prod(heads), length, width)  # PyTorch lays an array of four axes out like images

    def make(lib: Library, seed: int) -> Call:
        q, k, v, g = (lib.put(_numbers(shape, seed, i)) for i in range(4))
        leaves = [x.requires_grad_() for x in (q, k, v)]

        def call() -> Any:
            given = (x.reshape(*heads, length, width) for x in leaves)
            y = lib.ops.scaled_dot_product_attention(*given, is_causal=causal)
            return lib.grad(y, leaves, g.reshape(*heads, length, width))[0]

        return call

    # Forward: q, k, v, y. Backward: those, g and three gradients.
    name = f"attention{', causal' if causal else ''}, {length} queries, fwd + bwd"
    return _written_once(name, make, 4 * 12 * math.prod(shape))


PASSES_OF = {"SGD": 5, "Adam": 7, "AdamW": 7, "RMSprop": 5}  # arrays read or written: p and the state twice, g once
OPTIMISERS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 1e-3, "momentum": 0.9},
    "Adam": {"lr": 1e-3},
    "AdamW": {"lr": 1e-3, "weight_decay": 0.01},
    "RMSprop": {"lr": 1e-3},
}


def _update(kind: str, parameters: int, settings: dict[str, Any]) -> Stream:
    """One parameter as large as a small net; gives its new value."""

    def make(lib: Library, seed: int) -> Call:
        p, g = (lib.put(_numbers((parameters,), seed, i)) for i in range(2))
        p.requires_grad_().grad = g
        optimiser = getattr(lib.optim, kind)([p], **settings)

        def call() -> Any:
            optimiser.step()
            return p.data

        return call

    return _written_once(f"{kind} step, {parameters:,} parameters", make, 4 * PASSES_OF[kind] * parameters)
