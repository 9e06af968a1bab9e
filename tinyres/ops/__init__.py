"""The operations, one file for each family, each rule beside its forward. Names and arguments follow PyTorch."""

from tinyres.autograd.operands import explain_operands as _explain_operands
from tinyres.ops.activation import elu, gelu, leaky_relu, logsigmoid, relu, sigmoid, silu, softplus, tanh
from tinyres.ops.arithmetic import *
from tinyres.ops.arranging import *
from tinyres.ops.convolution import conv2d, conv2d_dw, conv2d_dx, conv_transpose2d
from tinyres.ops.creation import *
from tinyres.ops.elementwise import (
    abs,
    astype,
    clip,
    cos,
    erf,
    exp,
    expm1,
    identity,
    log,
    log1p,
    maximum,
    minimum,
    mul,
    neg,
    pow,
    sign,
    sin,
    sqrt,
    where,
)  # fmt: skip
from tinyres.ops.gathering import *
from tinyres.ops.indexing import added_at, getitem
from tinyres.ops.interpolation import upsample_nearest2d
from tinyres.ops.linalg import einsum, matmul
from tinyres.ops.logic import *
from tinyres.ops.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    l1_loss,
    mse_loss,
    nll_loss,
)
from tinyres.ops.normalization import batch_norm
from tinyres.ops.norms import *
from tinyres.ops.ordering import *
from tinyres.ops.padding import pad
from tinyres.ops.pooling import adaptive_avg_pool2d, avg_pool2d, max_pool2d
from tinyres.ops.products import *
from tinyres.ops.reduction import cumsum, log_softmax, logsumexp, mean, softmax, std, sum, var
from tinyres.ops.shape import (
    concatenate,
    expand,
    flatten,
    flip,
    matrix_transpose,
    numel,
    permute,
    reshape,
    split,
    squeeze,
    stack,
    transpose,
    unsqueeze,
)  # fmt: skip

__all__ = [
    "abs", "adaptive_avg_pool2d", "add", "added_at", "all", "allclose", "amax", "amin", "aminmax", "any", "arange",
    "argmax", "argmin", "argsort", "as_tensor", "astype", "avg_pool2d", "batch_norm", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "bmm",
    "broadcast_to", "cat", "ceil", "chunk", "clamp", "clip", "clone", "concatenate", "conv2d", "conv2d_dw",
    "conv2d_dx", "conv_transpose2d", "cos", "cross_entropy", "cumprod", "cumsum", "diag", "diag_embed", "diagonal",
    "div", "dot", "einsum", "elu", "empty", "empty_like", "eq", "equal", "erf", "exp", "exp2", "expand", "expand_as",
    "expm1", "eye", "flatten", "flip", "floor", "floor_divide", "frac", "from_numpy", "full", "full_like", "gather",
    "ge", "gelu", "getitem", "gt", "identity", "index_select", "isclose", "isfinite", "isinf", "isnan", "l1_loss",
    "le", "leaky_relu", "linspace", "log", "log1p", "log2", "log10", "log_softmax", "logical_and", "logical_not",
    "logical_or", "logical_xor", "logsigmoid", "logsumexp", "lt", "masked_fill", "masked_select", "matmul",
    "matrix_transpose", "max", "max_pool2d", "maximum", "mean", "min", "minimum", "mm", "mse_loss", "mul", "mv", "ne",
    "neg", "nll_loss", "norm", "numel", "ones", "ones_like", "outer", "pad", "permute", "pow", "prod", "rand",
    "rand_like", "randint", "randint_like", "randn", "randn_like", "randperm", "reciprocal", "relu", "remainder",
    "repeat", "reshape", "roll", "round", "rsqrt", "scatter", "scatter_add", "sigmoid", "sign", "silu", "sin",
    "softmax", "softplus", "sort", "split", "sqrt", "square", "squeeze", "stack", "std", "sub", "sum", "tan", "tanh",
    "tile", "topk", "transpose", "tril", "triu", "trunc", "unbind", "unsqueeze", "upsample_nearest2d", "var",
    "view_as", "where", "zeros", "zeros_like",
]  # fmt: skip

# Names that PyTorch has for the same.
cat, clamp, clone, broadcast_to = concatenate, clip, identity, expand

# Under these names, functions explain which argument is not a tensor. The modules of this package call the plain ones.
globals().update(
    {n: f if hasattr(f, "primitive") else _explain_operands(f) for n, f in globals().items() if n in __all__}
)
