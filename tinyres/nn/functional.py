"""Layers, activations and losses as functions: `import tinyres.nn.functional as F`. Names and arguments are PyTorch's.

This is a table of names: the functions, with their equations, are in `tinyres.ops`, and the modules of `tinyres.nn`
call them. Where PyTorch's functions may work in place, these take `inplace`, and return a new tensor all the same:
tensors are values.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import unwrap
from typing import Any

from tinyres import ops
from tinyres.autograd.tensor import Tensor
from tinyres.ops import (
    adaptive_avg_pool2d,
    avg_pool2d,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    conv2d,
    conv_transpose2d,
    cross_entropy,
    elu,
    gelu,
    l1_loss,
    leaky_relu,
    linear,
    log_softmax,
    logsigmoid,
    max_pool2d,
    mse_loss,
    nll_loss,
    pad,
    relu,
    scaled_dot_product_attention,
    sigmoid,
    silu,
    softmax,
    tanh,
)
from tinyres.ops.dropout import dropout, dropout1d, dropout2d
from tinyres.ops.gates import (
    celu,
    glu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    mish,
    prelu,
    relu6,
    selu,
    softmin,
    softshrink,
    softsign,
    tanhshrink,
    threshold,
)
from tinyres.ops.interpolation import interpolate, pixel_shuffle, pixel_unshuffle
from tinyres.ops.lookup import embedding, one_hot
from tinyres.ops.losses import cosine_embedding_loss, huber_loss, kl_div, smooth_l1_loss
from tinyres.ops.signals import adaptive_avg_pool1d, avg_pool1d, conv1d, conv_transpose1d, max_pool1d
from tinyres.ops.sinkhorn import sinkhorn
from tinyres.ops.standardize import cosine_similarity, group_norm, instance_norm, layer_norm, normalize, rms_norm
from tinyres.refusals.absent import told
from tinyres.refusals.blame import explain_operands


def batch_norm(
    input: Any,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Batch normalisation; see `tinyres.batch_norm`. As in PyTorch, training is off unless it is asked for."""
    return ops.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """log(1 + e^(beta x)) / beta, and x where beta x > threshold; see `tinyres.softplus`, which has no threshold."""
    return ops.softplus(input, beta, threshold)


def _with_inplace(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with PyTorch's last argument, `inplace`, which changes nothing."""
    plain: Any = unwrap(function)
    own = len(plain.primitive.inputs) if hasattr(plain, "primitive") else plain.__code__.co_argcount  # by position

    @wraps(function)
    def call(*args: Any, inplace: bool = False, **kwargs: Any) -> Any:
        return function(*args[:own], **kwargs)

    call.also_takes = ("inplace",)  # type: ignore[attr-defined]
    return call


_MAY_BE_IN_PLACE = (
    celu, dropout, dropout1d, dropout2d, elu, hardsigmoid, hardswish, hardtanh, leaky_relu, mish, relu, relu6, selu,
    silu, threshold,
)  # fmt: skip
globals().update({f.__name__: _with_inplace(f) for f in _MAY_BE_IN_PLACE})

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "avg_pool1d", "avg_pool2d", "batch_norm", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "celu", "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d",
    "cosine_embedding_loss", "cosine_similarity", "cross_entropy", "dropout", "dropout1d", "dropout2d", "elu",
    "embedding", "gelu", "glu", "group_norm", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "huber_loss",
    "instance_norm", "interpolate", "kl_div", "l1_loss", "layer_norm", "leaky_relu", "linear", "log_softmax",
    "logsigmoid", "max_pool1d", "max_pool2d", "mish", "mse_loss", "nll_loss", "normalize", "one_hot", "pad",
    "pixel_shuffle", "pixel_unshuffle", "prelu", "relu", "relu6", "rms_norm", "scaled_dot_product_attention",
    "selu", "sigmoid", "silu", "sinkhorn", "smooth_l1_loss", "softmax", "softmin", "softplus", "softshrink",
    "softsign", "tanh", "tanhshrink", "threshold",
]  # fmt: skip

# As in `tinyres.ops`, functions explain which argument is not a tensor.
globals().update(
    {n: explain_operands(globals()[n]) for n in __all__ if n not in ops.__all__ or n in ("batch_norm", "softplus")}
)


__getattr__ = told(__name__)
