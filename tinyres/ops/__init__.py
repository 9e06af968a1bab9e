"""The operations, one file for each family, each rule beside its forward. Names and arguments follow PyTorch."""

from tinyres.autograd.operands import explain_operands as _explain_operands
from tinyres.ops.activation import elu, gelu, leaky_relu, logsigmoid, relu, sigmoid, silu, softplus, tanh
from tinyres.ops.convolution import conv2d, conv2d_dw, conv2d_dx, conv_transpose2d
from tinyres.ops.elementwise import (
    abs,
    add,
    astype,
    clip,
    div,
    eq,
    erf,
    exp,
    ge,
    gt,
    identity,
    le,
    log,
    log1p,
    lt,
    maximum,
    minimum,
    mul,
    ne,
    neg,
    pow,
    sign,
    sqrt,
    sub,
    where,
)  # fmt: skip
from tinyres.ops.indexing import getitem, scatter_add
from tinyres.ops.interpolation import upsample_nearest2d
from tinyres.ops.linalg import einsum, matmul
from tinyres.ops.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    l1_loss,
    mse_loss,
    nll_loss,
)
from tinyres.ops.normalization import batch_norm
from tinyres.ops.padding import pad
from tinyres.ops.pooling import adaptive_avg_pool2d, avg_pool2d, max_pool2d
from tinyres.ops.reduction import argmax, cumsum, log_softmax, logsumexp, max, mean, min, softmax, sum, var
from tinyres.ops.shape import (
    concatenate,
    expand,
    flatten,
    flip,
    matrix_transpose,
    permute,
    reshape,
    split,
    squeeze,
    stack,
    transpose,
    unsqueeze,
)  # fmt: skip

__all__ = [
    "abs", "adaptive_avg_pool2d", "add", "argmax", "astype", "avg_pool2d", "batch_norm", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "clip", "concatenate", "conv2d", "conv2d_dw", "conv2d_dx",
    "conv_transpose2d", "cross_entropy", "cumsum", "div", "einsum", "elu", "eq", "erf", "exp", "expand", "flatten",
    "flip", "ge", "gelu", "getitem", "gt", "identity", "l1_loss", "le", "leaky_relu", "log", "log1p", "log_softmax",
    "logsigmoid", "logsumexp", "lt", "matmul", "matrix_transpose", "max", "max_pool2d", "maximum", "mean", "min",
    "minimum", "mse_loss", "mul", "ne", "neg", "nll_loss", "pad", "permute", "pow", "relu", "reshape",
    "scatter_add", "sigmoid", "sign", "silu", "softmax", "softplus", "split", "sqrt", "squeeze", "stack", "sub",
    "sum", "tanh", "transpose", "unsqueeze", "upsample_nearest2d", "var", "where",
]  # fmt: skip

# Under these names, functions explain which argument is not a tensor. The modules of this package call the plain ones.
globals().update(
    {n: f if hasattr(f, "primitive") else _explain_operands(f) for n, f in globals().items() if n in __all__}
)
