"""Lesion studies: drop a block of a trained net, or swap two, and measure how much accuracy remains."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import combinations
from typing import Any

import numpy as np

from tinyres import nn, ops
from tinyres.arrays import to_device
from tinyres.autograd.tensor import Array, raw
from tinyres.data import Dataset
from tinyres.figures import palette
from tinyres.flow.instruments.blocks import chosen, modules_of, names_of
from tinyres.flow.instruments.pictures import literal
from tinyres.flow.instruments.replaced import Forward, replaced
from tinyres.flow.measurement import Measurement
from tinyres.training import evaluate
from tinyres.utils import data

Shapes = dict[str, tuple[tuple[int, ...], tuple[int, ...]]]  # {block: shapes of one sample's input and output}


def lesionable_blocks(model: nn.Module) -> list[str]:
    """Names of the blocks to drop: every `nn.Residual` and `nn.Highway`, or else the children of `model.blocks`.

    Raises:
        ValueError: the model has neither.
    """
    names = [name for name, module in model.named_modules() if isinstance(module, (nn.Residual, nn.Highway))]
    blocks = getattr(model, "blocks", None)
    if not names and isinstance(blocks, nn.Module):
        first = names_of(model)  # a module shared between two places is dropped as one
        names = list(dict.fromkeys(first[f"blocks.{name}"] for name, _ in blocks.named_children()))
    if not names:
        raise ValueError(
            f"lesion: {type(model).__name__} has neither residual connections (nn.Residual, nn.Highway) nor .blocks; "
            f"name the modules to leave out, blocks={chosen(model, None)[:4]!r}, say"
        )
    return names


@contextmanager
def dropped(model: nn.Module, blocks: Iterable[str]) -> Iterator[nn.Module]:
    """Inside the `with` block, drop the named blocks: a residual block keeps its skip connection, others become y = x.

    A highway layer therefore passes x through, as if its gate were closed.

    If a residual connection changes the shape, its projection or padding shortcut stays. A plain block that changes the
    shape cannot be dropped: the layer behind it then raises.

    Raises:
        ValueError: the model has no module of that name.
    """
    modules = _modules(model, blocks)
    with replaced({module: _bypass(module) for module in modules.values()}):
        yield model


@contextmanager
def swapped(model: nn.Module, first: str, second: str) -> Iterator[nn.Module]:
    """Inside the `with` block, two blocks trade places.

    Raises:
        ValueError: the model has no module of that name, or one block is inside the other.
    """
    if _nested(first, second):
        raise ValueError(f"swapped: neither block may lie inside the other, got {first!r} and {second!r}")
    a, b = (_modules(model, [name])[name] for name in (first, second))
    with replaced({a: b.forward, b: a.forward}):
        yield model


def lesion(
    model: nn.Module,
    dataset: Dataset | data.Dataset,
    *,
    blocks: list[str] | None = None,
    swap: bool = False,
    loss: Callable[[Any, Any], Any] = ops.cross_entropy,
    batch_size: int = 500,
) -> Measurement:
    """Drop each block in turn and evaluate the model; with `swap`, also swap every two blocks of equal shapes.

    A residual connection is replaced by its shortcut, F(x) + x by x; any other block by the identity, if the shapes
    allow it. Everything runs in evaluation mode, without gradients. The model is restored afterwards, even after an
    error.
    Veit et al. 2016 [veit2016residual], "Residual networks behave like ensembles of relatively shallow networks",
    sections 4.1 and 4.3.

    Args:
        dataset: what to evaluate on, a `tinyres.data.Dataset` or one of `tinyres.utils.data`, whose samples are pairs
            (input, target); accuracy is measured if it has classes. Integer targets of one axis are classes.
        blocks: dotted names of modules; default: `lesionable_blocks(model)`.
        loss: loss(outputs, targets), a mean over samples.

    Returns:
        Numbers: `base_loss`, `base_accuracy`. Over blocks: `drop_loss`, `drop_accuracy`, NaN for a plain block that
        changes the shape. Over pairs: `swap_loss`, `swap_accuracy`.

    Raises:
        ValueError: the model has no blocks, or none of that name, or none that can be dropped.
        TypeError: blocks is not a list of names, or dataset is no data set of pairs.
        FloatingPointError: the intact model's loss is not finite.
    """
    modules = _modules(model, lesionable_blocks(model) if blocks is None else blocks)
    names, dataset = list(modules), _whole(dataset)

    def score() -> tuple[float, float]:
        return evaluate(model, dataset, loss=loss, batch_size=batch_size)

    shapes: Shapes = {}
    with replaced({module: _recording_shapes(name, module, shapes) for name, module in modules.items()}):
        base = score()
    if not np.isfinite(base[0]):
        raise FloatingPointError(
            f"lesion: the loss of the intact model is {base[0]}, so there is nothing to compare with; "
            "look for NaN or infinity in its weights"
        )
    fits = [n for n in names if n in shapes and (isinstance(modules[n], nn.Residual) or _keeps_shape(shapes[n]))]
    if not fits:
        raise ValueError(
            f"lesion: none of {', '.join(names)} can be dropped: each changes the shape of its input, or never ran by "
            "itself, as a list of modules"
        )
    drops = np.full((len(names), 2), np.nan)
    for name in fits:
        with dropped(model, [name]):
            drops[names.index(name)] = score()
    pairs = [(a, b) for a, b in combinations(names, 2) if swap and _same_shapes(a, b, shapes)]
    swaps = np.full((len(pairs), 2), np.nan)
    for i, (a, b) in enumerate(pairs):
        with swapped(model, a, b):
            swaps[i] = score()
    arrays: dict[str, Array] = {}
    axes: dict[str, tuple[str, ...]] = {}
    for column, what in enumerate(["loss", "accuracy"] if dataset.classes is not None else ["loss"]):
        arrays |= {f"base_{what}": np.array(base[column]), f"drop_{what}": drops[:, column]}
        axes |= {f"base_{what}": (), f"drop_{what}": ("block",)}
        if swap:
            arrays[f"swap_{what}"], axes[f"swap_{what}"] = swaps[:, column], ("pair",)
    labels = {"block": names, "pair": [f"{a} and {b}" for a, b in pairs]}
    cost = f"{1 + len(fits) + len(pairs)} evaluations of the data set, no backward pass"
    never, changing = [n for n in names if n not in shapes], [n for n in names if n in shapes and n not in fits]
    for kept, reason in ((never, "never ran by itself"), (changing, "changes the shape of its input")):
        cost += f"; NaN, since each {reason}: {', '.join(kept)}" if kept else ""
    return Measurement("lesions", arrays, axes, cost, _draw, labels)


def _whole(dataset: Any) -> Dataset:
    """All samples of a data set in PyTorch's form as arrays."""
    if isinstance(dataset, Dataset):
        return dataset
    if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__") or isinstance(dataset, (str, Mapping)):
        raise TypeError(
            "lesion: needs a data set of pairs (input, target), a tinyres.data.Dataset(inputs, targets) or one of "
            f"tinyres.utils.data, such as TensorDataset(x, y), got {type(dataset).__name__}"
        )
    sample = dataset[0]
    if not isinstance(sample, (tuple, list)) or len(sample) != 2:
        raise TypeError(f"lesion: a sample must be a pair (input, target), got {type(sample).__name__}")
    inputs, targets = (
        to_device(raw(part), "cpu") for part in data.default_collate([dataset[i] for i in range(len(dataset))])
    )
    are_classes = targets.ndim == 1 and targets.dtype.kind in "iu"
    return Dataset(inputs, targets, classes=int(targets.max()) + 1 if are_classes else None)


# -- replacements for a block ----------------------------------------------------------------------------------------
def _modules(model: nn.Module, names: Iterable[str]) -> dict[str, nn.Module]:
    if isinstance(names, str):
        raise TypeError(f"lesion: blocks is a list of names, got the string {names!r}; write [{names!r}]")
    known, names = modules_of(model), list(names)
    unknown = [name for name in names if name not in known]
    if unknown:
        some = ", ".join(sorted(known.keys() - {""})[:12])
        raise ValueError(f"lesion: the model has no modules called {unknown}; it has {some}")
    return {name: known[name] for name in names}


def _keeps_shape(shapes: tuple[Any, Any]) -> bool:
    return bool(shapes[0] == shapes[1])


def _same_shapes(a: str, b: str, shapes: Shapes) -> bool:
    return a in shapes and shapes[a] == shapes.get(b) and not _nested(a, b)


def _nested(a: str, b: str) -> bool:
    return f"{a}.".startswith(f"{b}.") or f"{b}.".startswith(f"{a}.")


def _bypass(module: nn.Module) -> Forward:
    """The block without its branch; it takes the same optional arguments as the block (see `nn.fused_add_relu`), and
    ignores those that only its branch would read."""
    shortcut = module.shortcut if isinstance(module, nn.Residual) else None

    def forward(x: Any, residual: Any = None, relu: bool = False, **options: Any) -> Any:
        y = x if shortcut is None else shortcut(x)
        if residual is not None:
            y = y + residual
        return ops.relu(y) if relu else y

    return forward


def _recording_shapes(name: str, module: nn.Module, shapes: Shapes) -> Forward:
    forward = module.forward

    def recording(x: Any, *args: Any, **kwargs: Any) -> Any:
        y = forward(x, *args, **kwargs)
        shapes[name] = tuple(x.shape[1:]), tuple(y.shape[1:])
        return y

    return recording


def _draw(figure: Any, found: Measurement) -> None:
    """Plot accuracy (or loss) after each lesion beside the intact model's."""
    what = "accuracy" if "base_accuracy" in found else "loss"
    kinds = [kind for kind in ("drop", "swap") if f"{kind}_{what}" in found]
    for axes, kind in zip(figure.subplots(1, len(kinds), squeeze=False, sharey=True)[0], kinds, strict=True):
        values, names = found[f"{kind}_{what}"], found.labels["block" if kind == "drop" else "pair"]
        axes.axhline(float(found[f"base_{what}"]), color="0.6", lw=1, label="the intact net")
        axes.plot(np.arange(len(values)), values, "o", color=palette.CASES[0], ms=5, label="with the lesion")
        if len(names) <= 30:
            axes.set_xticks(np.arange(len(names)), literal(names), rotation=90, fontsize=6)
        axes.set_title("One block dropped" if kind == "drop" else "Two blocks swapped")
        axes.set(xlabel="blocks", ylabel=what)
        if what == "accuracy":
            axes.set_ylim(0, 1.02)
        axes.legend(fontsize=8)


__all__ = ["dropped", "lesion", "lesionable_blocks", "swapped"]
