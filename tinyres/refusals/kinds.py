"""What an argument must be, by its name: a number, a fraction, a size, one of some words, a module.

Layers, optimisers and schedules are checked when they are made; functions are only after they have failed, so that a
call that goes well costs nothing more.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from inspect import Parameter, isclass, signature
from math import inf
from numbers import Real
from typing import Any, NamedTuple

import numpy as np


class Kind(NamedTuple):
    """A kind of values: what is said of it, which types it has, which values of these."""

    needs: str
    fits: Callable[[Any], bool]
    holds: Callable[[Any], bool] = lambda value: True

    def check(self, what: str, name: str, value: Any) -> None:
        """TypeError for a value of another type, ValueError for one that is out of range."""
        fits = self.fits(value)
        if fits and self.holds(value):
            return
        array = hasattr(value, "shape") and hasattr(value, "dtype")
        got = f"an array of shape {tuple(value.shape)}" if array and value.shape else f"{value!r:.80}"
        raise (ValueError if fits else TypeError)(f"{what}: {name} must be {self.needs}, got {got}")


def is_number(value: Any) -> bool:
    """A real number, Python's, NumPy's or a tensor's without axes."""
    return isinstance(value, Real) or (getattr(value, "ndim", None) == 0 and value.dtype.kind in "biuf")


def is_whole(value: Any) -> bool:
    """An integer: whatever can be an index."""
    try:
        value.__index__()
    except (AttributeError, TypeError, ValueError):
        return False
    return True


def number(low: float = -inf, high: float = inf, needs: str = "") -> Kind:
    """A number from low to high."""
    bounds = f" of at least {low:g}" if low > -inf else ""
    bounds = f" from {low:g} to {high:g}" if high < inf else bounds
    return Kind(needs or f"a number{bounds}", is_number, lambda value: low <= value <= high)


def whole(low: float = -inf) -> Kind:
    """An integer of at least low."""
    return Kind(f"a whole number of at least {low:g}" if low > -inf else "a whole number", is_whole, lambda v: v >= low)


def sizes(low: float, words: tuple[str, ...] = ()) -> Kind:
    """An integer of at least low, or one for each axis, or one of some words."""

    def fits(value: Any) -> bool:
        if isinstance(value, str):
            return bool(words)
        return is_whole(value) or (isinstance(value, (tuple, list)) and all(map(is_whole, value)))

    def holds(value: Any) -> bool:
        if isinstance(value, str):
            return value in words
        return all(v >= low for v in (value if isinstance(value, (tuple, list)) else [value]))

    said = "".join(f", or {word!r}" for word in words)
    return Kind(f"a whole number of at least {low:g}, or one for each axis{said}", fits, holds)


def one_of(*words: str) -> Kind:
    """One of some words."""
    return Kind(" or ".join(map(repr, words)), lambda value: isinstance(value, str), lambda value: value in words)


def _is_iterable(value: Any) -> bool:
    return hasattr(value, "__iter__") and not isinstance(value, str)


def _is_tensor(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_tensor, value))
    return hasattr(value, "ndim") or hasattr(value, "__dlpack__") or is_number(value)


def _is_dtype(value: Any) -> bool:
    try:
        return value is not None and np.dtype(value).kind in "biuf"
    except (TypeError, ValueError):
        return False


def _is_size(value: Any) -> bool:
    return all(v is None or is_whole(v) for v in (value if isinstance(value, (tuple, list)) else [value]))


def _is_seed(value: Any) -> bool:
    kept = (np.random.Generator, np.random.SeedSequence, np.random.BitGenerator)
    return isinstance(value, kept) or all(map(is_whole, value if isinstance(value, (tuple, list)) else [value]))


COUNT, WHOLE, NUMBER, POSITIVE, FRACTION = whole(1), whole(), number(), number(0), number(0, 1)
AXIS = Kind("a whole number, or None", lambda value: value is None or is_whole(value))
FLAG = Kind("True or False", lambda value: value is None or is_whole(value) or isinstance(value, np.bool_))
FUNCTION = Kind("a function", callable)
MODULE = Kind("a module, such as nn.Linear(3, 3)", lambda value: hasattr(value, "state_dict") and callable(value))
OPTIMIZER = Kind("an optimiser, such as optim.SGD(model.parameters(), lr=0.1)", lambda v: hasattr(v, "param_groups"))
RATES = Kind("a number, or a list of numbers", lambda v: is_number(v) or isinstance(v, (tuple, list)))
PARAMETERS = Kind("a list of parameters, as model.parameters() or [p]", _is_iterable)
TENSOR = Kind("a tensor or an array", _is_tensor)
SEED = Kind(
    "a seed, as 0, or a generator, as numpy.random.default_rng(0)", _is_seed, lambda v: not is_whole(v) or v >= 0
)


def _named(names: str, kind: Kind) -> dict[str, Kind]:
    return dict.fromkeys(names.split(), kind)


KINDS: dict[str, Kind | None] = {
    **_named(
        "in_features out_features num_features num_groups num_channels in_channels out_channels groups num_embeddings "
        "embedding_dim embed_dim num_heads d_model nhead dim_feedforward hidden_size input_size num_layers "
        "upscale_factor downscale_factor num_parameters channels batch_size streams iterations n_power_iterations "
        "width kdim vdim layers",
        COUNT,
    ),
    **_named(
        "start_dim end_dim num_classes num_samples minlength ignore_index padding_idx divisor_override offset diagonal",
        WHOLE,
    ),
    **_named("dim axis", AXIS),
    **_named("kernel_size stride dilation", sizes(1)),
    **_named("output_padding normalized_shape", sizes(0)),
    **_named("padding", sizes(-inf)),
    **_named("p dropout dropout_p survival label_smoothing pct_start", FRACTION),
    **_named(
        "alpha beta negative_slope min_val max_val threshold value margin init gamma eta_min forget_bias scale "
        "norm_type max_momentum base_momentum timeout",
        NUMBER,
    ),
    **_named(
        "eps layer_norm_eps lambd delta base max_norm clip_value factor patience cooldown start_factor end_factor "
        "div_factor final_div_factor",
        POSITIVE,
    ),
    **_named("step_size T_max total_iters T_0 T_mult total_steps epochs steps_per_epoch", number(1)),
    **_named("max_lr min_lr scale_factor size", RATES),
    **_named("branch shortcut gate rotary module encoder_layer", MODULE),
    **_named("input x input1 input2 x1 x2 target query key", TENSOR),
    **_named("rng generator", SEED),
    **_named("parameters", PARAMETERS),
    **_named("collate_fn worker_init_fn connection norm_layer", FUNCTION),
    "dtype": Kind("a dtype, such as tr.float32", _is_dtype),
    "output_size": Kind("a size, or one for each axis, None for that of the input", _is_size),
    "milestones": Kind("a list of numbers of steps, as [30, 80]", _is_iterable),
    "schedulers": Kind("a list of schedules", _is_iterable),
    "tensors": Kind("a list of tensors", _is_iterable),
    "lengths": Kind("a list of lengths", _is_iterable),
    "unflattened_size": Kind("a tuple of sizes", lambda value: isinstance(value, (tuple, list))),
    "indices": Kind("a list of indices", _is_iterable),
    "lr_lambda": Kind("a function of the step, or a list of such", lambda v: callable(v) or _is_iterable(v)),
    "optimizer": OPTIMIZER,
    "momentum": None,  # of an average or of a velocity: each class has its own sentence
    "approximate": one_of("none", "tanh"),
    "reduction": one_of("mean", "sum", "none"),
}
# Names that mean this in functions: in layers, `bias` says whether there is one.
_OF_FUNCTIONS = _named("A B a b bias condition index mask mat2 other pos_weight src tensor vec2 weight y", TENSOR)
# Of a name that is not in the list.
_OF_DEFAULT = {bool: FLAG, float: NUMBER, str: Kind("a word", lambda value: isinstance(value, str))}
# Not the optimisers: `tinyres.optim.groups` checks their settings, group by group.
_OURS = tuple(
    f"tinyres.{room}" for room in ("nn.", "ops.", "optim.schedules", "optim.cycles", "optim.plateau", "utils.")
)
# Names that mean something else in one class or function.
ELSEWHERE: dict[str, Kind | None] = {
    "Conv1d.padding": sizes(0, ("same", "valid")), "Conv2d.padding": sizes(0, ("same", "valid")),
    "conv1d.padding": sizes(0, ("same", "valid")), "conv2d.padding": sizes(0, ("same", "valid")),
    "normalize.p": POSITIVE, "norm.p": None, "normalize.dim": sizes(-inf), "scaled_dot_product_attention.value": TENSOR,
    "HyperConnections.index": WHOLE, "SqueezeExcite.reduction": COUNT, "TransformerEncoder.norm": MODULE,
    "TransformerEncoderLayer.activation": Kind("a word or a function", lambda v: isinstance(v, str) or callable(v)),
    "KLDivLoss.reduction": one_of("mean", "batchmean", "sum", "none"),
    "kl_div.reduction": one_of("mean", "batchmean", "sum", "none"),
}  # fmt: skip


@cache
def _kinds_of(function: Callable[..., Any]) -> tuple[tuple[int, str, Kind, Any], ...]:
    """The arguments of a function or class that have a kind: place, name, kind and default."""
    found, place = [], 0
    try:
        parameters = signature(function).parameters.values()
    except ValueError:
        return ()
    for parameter in parameters:
        kind = KINDS.get(parameter.name, _OF_DEFAULT.get(type(parameter.default)))
        kind = kind if isclass(function) else _OF_FUNCTIONS.get(parameter.name, kind)
        kind = ELSEWHERE.get(f"{function.__name__}.{parameter.name}", kind)
        by_place = parameter.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
        if kind is not None and parameter.kind is not Parameter.VAR_POSITIONAL:
            found.append((place if by_place else -1, parameter.name, kind, parameter.default))
        place += by_place
    return tuple(found)


def check_kinds(function: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> None:
    """TypeError or ValueError for an argument of another kind than its name says, in a class or function of ours.

    The default is always right. The arguments of models, which have their own sentences, are left alone.
    """
    code = function.__init__ if isclass(function) else function
    if function.__name__.startswith("_") or not getattr(code, "__module__", "").startswith(_OURS):
        return
    for place, name, kind, default in _kinds_of(function):
        value = named[name] if name in named else args[place] if 0 <= place < len(args) else default
        if value is not default:
            kind.check(function.__name__, name, value)


__all__ = ["FLAG", "Kind", "check_kinds", "is_number", "is_whole", "one_of"]
