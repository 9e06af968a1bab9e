"""The compiled CPU rung: SIMD micro-kernels written as LLVM instructions, and Numba loops around them.

    host.py   the target's vectors and registers; threads;   memory.py   scratch memory
    plan.py   which way an operation goes (`explain` tells);   choices.py   the limits that decide; `forced`
    emit.py   vector instructions;   simd.py   the micro-kernels made of them;   loops.py   the loops around those
    conv.py   the convolutions, and which way each goes:
        dot.py, outer.py                                    directly
        winograd.py, winograd_loops.py, tiles.py            3x3 at stride 1
        strided.py, strided_loops.py, strided_tiles.py      4x4 at stride 2
        subpixel.py                                         conv2d_dx onto few channels at a stride
    rows.py   compiled passes over pixels by channels;   norm.py   batch norm on them
    pool.py   the pools, channels innermost;   elementwise.py   sums and ReLUs
    loss.py   cross-entropy;   update.py   optimiser steps;   matmul.py   matrix products

The cross-entropy of a yes or no comes from `im2col`.
"""

from tinyres_kernels.cpu.choices import forced
from tinyres_kernels.cpu.conv import conv2d, conv2d_dw, conv2d_dx
from tinyres_kernels.cpu.elementwise import add, relu, relu_dx
from tinyres_kernels.cpu.loss import cross_entropy, cross_entropy_dx
from tinyres_kernels.cpu.matmul import matmul
from tinyres_kernels.cpu.norm import batch_norm, batch_norm_dx
from tinyres_kernels.cpu.plan import explain
from tinyres_kernels.cpu.pool import avg_pool2d, avg_pool2d_dx, max_pool2d, max_pool2d_dx, max_pool2d_take
from tinyres_kernels.cpu.update import adam, rmsprop, sgd
from tinyres_kernels.im2col import bce_with_logits, bce_with_logits_dx

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
    "explain",
    "forced",
    "matmul",
    "max_pool2d",
    "max_pool2d_dx",
    "max_pool2d_take",
    "relu",
    "relu_dx",
    "rmsprop",
    "sgd",
]
