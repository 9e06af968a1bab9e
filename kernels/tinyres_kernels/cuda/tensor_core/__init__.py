"""The convolutions on tensor cores: CUDA C++ with inline PTX, compiled by CuPy, for float32 and sm_80 or later.

Tensor cores multiply numbers of 11 significant bits ("TF32") and add in float32. Here each number is split in two such,
x = big + small, and three products stand for one, big big + big small + small big: about float32's accuracy, at a third
of the rate, which on an H200 is still more than the plain units' (Ootomo & Yokota 2022 [ootomo2022recovering],
"Recovering single precision accuracy from Tensor Cores while surpassing the FP32 theoretical peak performance"). As
they found, tensor cores cut where float32 rounds; so no sum runs through them for longer than 8 terms. NaN and infinity
come out as in float32. In `conv`, `products=1` is plain TF32, with 3 digits: fast, and not for gradients that shall be
exact.

    conv.py   the three;   convolution.cu   the kernels, machine.cuh   their instructions in PTX
    program.py   compiling and launching

To be expected (H200, 132 multiprocessors; not measured), a block of 128 x 128 results and 16 of the inner dimension:

                                    3 products     1 product
    multiplications and additions   2 x 128 x 128 x 16, of 3 or 1 products
    peak, dense TF32 / products     165 TFLOP/s    495 TFLOP/s     (plain float32: 67)
    through `mma`, about 0.6 of it  100 TFLOP/s    300 TFLOP/s     (all of it takes `wgmma`)
    mma, all warps                  768            256
    wavefronts to read fragments    384: 0.5 a mma 384: 1.5 a mma  (no bank conflicts; the limit is about 1.6)
    bytes from L2, 16 a slab        16,384: 32 operations a byte
    float32 additions a thread      128            128             (of the partial products)

That 0.6 is from Luo et al. 2024 [luo2024benchmarking], "Benchmarking and dissecting the Nvidia Hopper GPU
architecture"; unchecked.

A number below 1e-34 keeps fewer bits, since its small part is below what TF32 can hold. Fewer than 8 outputs in a group
leave most of a tile idle: `tinyres_kernels.cuda` is better there.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tinyres_kernels import contract
from tinyres_kernels.cuda.tensor_core import conv
from tinyres_kernels.namespace import Array

contract.publish(__name__, conv)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Callable[..., Array]: ...
