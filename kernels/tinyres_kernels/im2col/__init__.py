"""The kernels in whole-array operations: for NumPy or CuPy arrays, with no compiler.

`reference` holds the equations; here is how they become few, large operations. A convolution copies every window into
a row of a matrix ("image to columns") and leaves the rest to one matrix product, at the price of KH*KW times the
image's memory; so the batch is cut into pieces whose columns stay within `BUDGET`. Pools and the strided `conv2d_dx` go
tap by tap: for one tap of the kernel, the pixels it reads and the outputs they belong to are two slices.

Inputs may have any strides; `out` must be C-contiguous, as everywhere. Sums run in `out`'s dtype, in an order that
depends on the shapes alone.
"""

from tinyres_kernels.im2col.conv import conv2d, conv2d_dw, conv2d_dx
from tinyres_kernels.im2col.elementwise import add, relu, relu_dx
from tinyres_kernels.im2col.loss import bce_with_logits, bce_with_logits_dx, cross_entropy, cross_entropy_dx
from tinyres_kernels.im2col.matmul import matmul
from tinyres_kernels.im2col.norm import batch_norm, batch_norm_dx
from tinyres_kernels.im2col.pool import avg_pool2d, avg_pool2d_dx, max_pool2d, max_pool2d_dx, max_pool2d_take
from tinyres_kernels.im2col.update import adam, rmsprop, sgd

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
