"""Every kernel as loops over single elements: the specification that the other kernel sets must meet.

Each output element is computed, on its own, from what it reads (a gather), so nothing depends on the order in which
elements are visited. Sums are Python floats, whatever the arrays hold. `h` and `w` count rows and columns in the
formulas; an axis's `window`, `readers` and `places` (see `geometry`) say which of them meet. The costs in the
docstrings are those of a good implementation; this one is slower by a factor of thousands.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tinyres_kernels import contract
from tinyres_kernels.namespace import Array
from tinyres_kernels.reference import (
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

contract.publish(__name__, activations, heads, conv, dense, elementwise, loss, matmul, norm, pool, row_norm, update)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Callable[..., Array]: ...
