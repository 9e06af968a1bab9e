"""The matrix product as the array library has it: cuBLAS, by way of CuPy."""

from tinyres_kernels.im2col.matmul import matmul

__all__ = ["matmul"]
