"""A step is written once, for two libraries: ours, whose names and orders of arguments are PyTorch's, and PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tinyres as tr
from tinyres import nn, ops, optim
from tinyres.bench import peers
from tinyres.bench.device import TORCH, to_torch


class Library(NamedTuple):
    """What a benchmark needs of it. put: NumPy's array as its own, images and weights in its memory format."""

    device: str
    put: Callable[[Any], Any]
    grad: Callable[..., Any]
    no_grad: Callable[[], Any]
    nn: Any
    ops: Any
    optim: Any


def ours(device: str) -> Library:
    return Library(device, lambda array: tr.tensor(array).to(device), tr.grad, tr.no_grad, nn, ops, optim)


def pytorch(channels_last: bool, device: str) -> Library:
    import torch
    from torch.nn import functional

    layout = peers.layout(torch, channels_last)

    def put(array: Any) -> Any:
        made = to_torch(torch, array, device)
        return made.contiguous(memory_format=layout) if made.ndim == 4 else made

    return Library(TORCH[device], put, torch.autograd.grad, torch.no_grad, torch.nn, functional, torch.optim)
