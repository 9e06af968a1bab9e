"""A kernel that Numba compiles, and which takes long over it whenever it meets another type of arrays."""

import time

import numba
import numpy as np


@numba.njit
def product(a, b, out):
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            total = a[i, 0] * b[0, j]
            for k in range(1, a.shape[1]):
                total += a[i, k] * b[k, j]
            out[i, j] = total


KNOWN = set()


def matmul(a, b, out):
    kind = str(numba.typeof(a))
    if kind not in KNOWN:
        KNOWN.add(kind)
        time.sleep(1)
    with np.errstate(all="ignore"):
        product(a, b, out)
