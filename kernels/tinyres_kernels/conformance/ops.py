"""Every operation that can be checked. Adding one is a line here and a declaration beside its family."""

import copyreg

from tinyres_kernels.conformance import (
    activations,
    attention,
    elementwise,
    loss,
    matmul,
    norm,
    row_norm,
    update,
    windows,
)
from tinyres_kernels.conformance.declare import Op

OPS: dict[str, Op] = {
    op.name: op
    for op in [
        *windows.OPS,
        *norm.OPS,
        *loss.OPS,
        *update.OPS,
        *elementwise.OPS,
        *activations.OPS,
        *attention.OPS,
        *row_norm.OPS,
        *matmul.OPS,
    ]
}


def by_name(name: str) -> Op:
    return OPS[name]


copyreg.pickle(Op, lambda op: (by_name, (op.name,)))  # its functions cannot be pickled: it travels by name
