"""The compiled CPU rung: SIMD micro-kernels written as LLVM instructions, and Numba loops around them.

    host.py   the target's vectors and registers; threads
    simd.py   the two micro-kernels
    loops.py  the compiled loops around them
    conv.py   the convolutions
    rows.py   compiled passes over pixels by channels;   norm.py   batch norm on them

Pools come from `im2col`.
"""

from tinyres_kernels.cpu.conv import conv2d, conv2d_dw, conv2d_dx
from tinyres_kernels.cpu.norm import batch_norm, batch_norm_dx
from tinyres_kernels.im2col import avg_pool2d, avg_pool2d_dx, max_pool2d, max_pool2d_dx, max_pool2d_take

__all__ = [
    "avg_pool2d",
    "avg_pool2d_dx",
    "batch_norm",
    "batch_norm_dx",
    "conv2d",
    "conv2d_dw",
    "conv2d_dx",
    "max_pool2d",
    "max_pool2d_dx",
    "max_pool2d_take",
]
