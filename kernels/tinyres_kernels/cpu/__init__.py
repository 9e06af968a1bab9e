"""The compiled CPU kernels: SIMD micro-kernels written as LLVM instructions, and Numba loops around them.

host.py   the target's vectors and registers; threads;   memory.py   scratch memory
jit.py    compiling, and running a kernel's shares on threads;   compiler.py   what Numba's compiler leaves out for that
cache.py   compiled code on disk
turns.py   one process compiles, others wait;   ahead.py, small_step.py   a second one compiles ahead
plan.py   which algorithm an operation uses (`explain` says);   choices.py   the limits that decide; `forced`
trial.py   several algorithms of a convolution are tried once;   measured.py   what came out, on disk
emit.py   vector instructions;   simd.py   the micro-kernels made of them;   loops.py   the loops around those
conv.py   the convolutions, and which algorithm each uses:
    dot.py, outer.py                                    directly
    fast/                                               with fewer products: 3x3 at stride 1, 4x4 at stride 2, ...
heads.py   attention, block by block, on head_rows.py
rows.py   compiled passes over pixels by channels, on row_tiles.py;   norm.py   batch norm on them
row_norm.py   layer norm and RMS norm
pool.py   the pools, channels innermost;   elementwise.py   sums and ReLUs
activations.py   tanh, GELU and other smooth ones, on elementary.py (exp, log1p, ...);   softmax.py   a row of exps
loss.py   softmax and cross-entropies on those
update.py, many.py   optimiser steps;   matmul.py   matrix products, by BLAS or by products.py
dense.py   a linear layer
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tinyres_kernels import contract
from tinyres_kernels.cpu import activations, conv, dense, elementwise, heads, loss, matmul, norm, pool, row_norm, update
from tinyres_kernels.cpu.choices import forced
from tinyres_kernels.cpu.many import MANY, adam_many, sgd_many
from tinyres_kernels.cpu.plan import explain
from tinyres_kernels.namespace import Array

contract.publish(__name__, activations, heads, conv, dense, elementwise, loss, matmul, norm, pool, row_norm, update)

__all__ = ["MANY", "adam_many", "explain", "forced", "sgd_many"]

if TYPE_CHECKING:

    def __getattr__(name: str) -> Callable[..., Array]: ...
