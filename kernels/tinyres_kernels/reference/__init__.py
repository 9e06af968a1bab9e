"""Every kernel as loops over single elements: the specification that the other rungs are held against.

Each output element is computed, on its own, from what it reads (a gather), so nothing depends on the order in which
elements are visited. Sums are Python floats, whatever the arrays hold. `h` and `w` count rows and columns in the
formulas; an axis's `window`, `readers` and `places` (see `geometry`) say which of them meet. The costs in the
docstrings are those of a good implementation; this one is slower by a factor of thousands.
"""

from tinyres_kernels.reference.conv import conv2d, conv2d_dw, conv2d_dx
from tinyres_kernels.reference.elementwise import add, relu, relu_dx
from tinyres_kernels.reference.loss import bce_with_logits, bce_with_logits_dx, cross_entropy, cross_entropy_dx
from tinyres_kernels.reference.matmul import matmul
from tinyres_kernels.reference.norm import batch_norm, batch_norm_dx
from tinyres_kernels.reference.pool import avg_pool2d, avg_pool2d_dx, max_pool2d, max_pool2d_dx, max_pool2d_take
from tinyres_kernels.reference.update import adam, rmsprop, sgd

__all__ = [
    "adam",
    "add",
    "avg_pool2d",
    "avg_pool2d_dx",
    "batch_norm",
    "batch_norm_dx",
    "bce_with_logits",
    "bce_with_logits_dx",
    "conv2d",
    "conv2d_dw",
    "conv2d_dx",
    "cross_entropy",
    "cross_entropy_dx",
    "matmul",
    "max_pool2d",
    "max_pool2d_dx",
    "max_pool2d_take",
    "relu",
    "relu_dx",
    "rmsprop",
    "sgd",
]
