"""The settings of every operation that has some, each as one object: a kernel's last argument.

`kernel`, `stride`, `padding` and `dilation` are pairs (vertical, horizontal) of ints; padding is symmetric.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from tinyres_kernels.geometry import Axis, Pair, conv_axes, pool_axes
from tinyres_kernels.namespace import Array

Shape = tuple[int, ...]
Axes = tuple[Axis, Axis]  # rows and columns
# The same few shapes come again at every step of a training.
_conv_axes: Callable[..., Axes] = lru_cache(4096)(conv_axes)
_pool_axes: Callable[..., Axes] = lru_cache(4096)(pool_axes)


class Conv(NamedTuple):
    """How the window of a convolution moves, and into how many groups the channels fall."""

    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int

    def axes(self, x: Shape, w: Shape, y: Shape) -> Axes:
        """The two axes of y = conv2d(x, w), given the three shapes. Raises ValueError where they do not fit."""
        return _conv_axes(x, w, y, *self)


class MaxPool(NamedTuple):
    """The window of a max pool, and how it moves."""

    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair

    def axes(self, x: Shape, y: Shape) -> Axes:
        """The two axes of a pool from shape x to shape y. Raises ValueError where they do not fit."""
        return _pool_axes(x, y, *self)


class AvgPool(NamedTuple):
    """The window of an average pool; and whether padding counts, as zeros, where a window hangs over the rim."""

    kernel: Pair
    stride: Pair
    padding: Pair
    count_include_pad: bool

    @property
    def dilation(self) -> Pair:
        """No setting: an average pool has no other."""
        return 1, 1

    def axes(self, x: Shape, y: Shape) -> Axes:
        """As of `MaxPool`."""
        return _pool_axes(x, y, self.kernel, self.stride, self.padding)


class Norm(NamedTuple):
    """Of batch norm: training, or evaluation; relu: whether one follows; momentum: that of the running statistics."""

    eps: float
    training: bool
    relu: bool
    momentum: float = 0.0


class Running(NamedTuple):
    """The running statistics of a batch norm, as they were and as they become; None for what is not kept.

    Means and variances are (C,), the number of batches is an integer array (1,).
    """

    mean: Array = None
    var: Array = None
    batches: Array = None
    new_mean: Array = None
    new_var: Array = None
    new_batches: Array = None


class Relu(NamedTuple):
    """slope: of the negative side, 0 for the plain ReLU."""

    slope: float


ACTIVATIONS = ("tanh", "sigmoid", "softplus", "silu", "gelu", "gelu_tanh")
GELU_SCALE, GELU_CUBE = 0.7978845608028654, 0.044715  # sqrt(2 / pi), and what Hendrycks & Gimpel found


class Activation(NamedTuple):
    """name: which one, of `ACTIVATIONS`."""

    name: str


class Softmax(NamedTuple):
    """log: whether its logarithm is wanted."""

    log: bool


class Attention(NamedTuple):
    """scale: of the logits; causal: whether query i sees the keys 0 to i alone."""

    scale: float
    causal: bool


class Sgd(NamedTuple):
    """Of a step of gradient descent; its momentum counts where there is a buffer."""

    lr: float
    momentum: float
    dampening: float
    weight_decay: float
    nesterov: bool


class LayerNorm(NamedTuple):
    """Of layer norm and RMS norm. eps: added to each row's variance, or mean square."""

    eps: float


class Adam(NamedTuple):
    """Of Adam's step number `step`, counted from 1; AdamW's if `decoupled`."""

    lr: float
    beta1: float
    beta2: float
    eps: float
    weight_decay: float
    decoupled: bool
    step: int


class Rmsprop(NamedTuple):
    """Of a step of RMSprop."""

    lr: float
    alpha: float
    eps: float
    weight_decay: float
    momentum: float


PAIRS = {"kernel", "stride", "padding", "dilation"}


def _pair(name: str, value: Any) -> Pair:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{name} must be a pair (vertical, horizontal), got {value!r}")
    return value[0], value[1]


def named(op: str, kind: Any, keywords: dict[str, Any]) -> Any:
    """The settings of this kind from keywords. Raises TypeError, naming them, where some are missing or unknown."""
    if kind is not None:
        for name in PAIRS & keywords.keys():
            if type(keywords[name]) is not tuple:
                keywords[name] = _pair(name, keywords[name])
        try:
            return kind(**keywords)
        except TypeError:  # what is wrong is said below
            pass
    fields: tuple[str, ...] = () if kind is None else kind._fields
    if unknown := [name for name in keywords if name not in fields]:
        raise TypeError(f"{op} has the settings {', '.join(fields) or 'none'}; not among them: {', '.join(unknown)}")
    optional: dict[str, Any] = {} if kind is None else kind._field_defaults
    if missing := [name for name in fields if name not in keywords and name not in optional]:
        raise TypeError(
            f"{op} needs {', '.join(fields)}, as keywords or as one {kind.__name__}; not given: {', '.join(missing)}"
        )
    return None
