"""The kernels in whole-array operations: for NumPy or CuPy arrays, with no compiler.

`reference` holds the equations; here is how they become few, large operations. A convolution copies every window into
a row of a matrix ("image to columns") and leaves the rest to one matrix product, at the price of KH*KW times the
image's memory; so the batch is cut into pieces whose columns stay within `BUDGET`. Pools and the strided `conv2d_dx` go
tap by tap: for one tap of the kernel, the pixels it reads and the outputs they belong to are two slices.

Inputs may have any strides; `out` must be C-contiguous, as everywhere. Sums run in `out`'s dtype, in an order that
depends on the shapes alone.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tinyres_kernels import contract
from tinyres_kernels.im2col import (
    activations,
    conv,
    dense,
    elementwise,
    heads,
    loss,
    matmul,
    norm,
    pool,
    row_norm,
    update,
)
from tinyres_kernels.namespace import Array

contract.publish(__name__, activations, heads, conv, dense, elementwise, loss, matmul, norm, pool, row_norm, update)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Callable[..., Array]: ...
