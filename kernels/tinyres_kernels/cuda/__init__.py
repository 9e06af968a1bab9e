"""The CUDA kernels, in Numba: kernels for what CuPy lacks, on its arrays, in float32 or float64.

    conv_naive.py   the convolutions to read: one thread an output element
    conv_tiled.py, conv_weights.py   the convolutions to use: tiles in shared memory and registers
    winograd_kernels.py, winograd_block.py, winograd.py   3x3 convolutions with fewer products, and when they are faster
    products.py, words.py   what they multiply and load with
    counters.py   who is the last, and adds up what all have left;   sums.py   parts added up in a launch of their own
    conv.py   which of them;   conv_plan.py   with which tile, in how many parts (`explain` tells)
    conv_norm.py   a convolution with batch norm, in evaluation, in one launch; or with its statistics, in training
    conv_measure.py   how blocks that convolve bring these together
    card.py   the card that is planned for
    norm.py   batch norm, its sums;   normalise.py   its last pass;   loss.py   cross-entropies
    activations, softmax, layer norm, attention, linear   those of `im2col`: CuPy's own kernels and cuBLAS
    pool.py, elementwise.py   one thread a number, or four;   matmul.py   cuBLAS, by way of CuPy
    update.py   optimisers, many parameters in one launch;   table.py   how;   steps.py   how many
    host.py   how kernels are made;   launching.py   machine code, kept on disk, and launches
    show.py   what one thread reads and writes; races

Everything is gathered: a thread finds what its result is made of, and no other thread writes there. Atomics count
blocks and add up nothing: the order of every sum is fixed. Kernels run on the stream that the arrays' library works on.

Importing these kernels imports Numba; they need numba-cuda (`pip install 'tinyres[cuda12]'` or `[cuda13]`), and a GPU
only when a kernel is launched. With `NUMBA_ENABLE_CUDASIM=1` in the environment it runs on NumPy arrays, very slowly.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tinyres_kernels import contract
from tinyres_kernels.cuda import conv, dense, elementwise, loss, matmul, norm, pool, steps
from tinyres_kernels.cuda.conv import explain
from tinyres_kernels.cuda.conv_norm import conv2d_norm, conv2d_statistics
from tinyres_kernels.cuda.show import Access, Shown, races, show_thread
from tinyres_kernels.cuda.steps import MANY
from tinyres_kernels.im2col import activations, heads, row_norm
from tinyres_kernels.namespace import Array

contract.publish(__name__, activations, heads, conv, dense, elementwise, loss, matmul, norm, pool, row_norm, steps)

__all__ = ["MANY", "Access", "Shown", "conv2d_norm", "conv2d_statistics", "explain", "races", "show_thread"]

if TYPE_CHECKING:

    def __getattr__(name: str) -> Callable[..., Array]: ...
