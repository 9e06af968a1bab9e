"""Arrays: which kernels serve one, where it is, and how it lies in memory.

dispatch.py  the kernels that serve an array, and the block that forces others
threads.py   how many threads they use
layout.py    the order in which an array lies in memory, and new arrays in that order
memory.py    recycled memory for large arrays
devices.py   the CPU, a GPU, and moving between them
foreign.py   arrays of other libraries, by DLPack
"""

from tinyres_kernels.namespace import namespace

from tinyres.arrays.devices import check_device, device_of, numbers, to_device
from tinyres.arrays.dispatch import CHECK, RUNGS, KernelDisagreement, kernels, kernels_for
from tinyres.arrays.layout import (
    empty,
    empty_in_order,
    inverse,
    memory_order,
    ravel_alike,
    ravel_k,
    unravel_like,
)
from tinyres.arrays.threads import get_num_threads, set_num_threads

__all__ = [
    "CHECK", "RUNGS", "KernelDisagreement", "check_device", "device_of", "empty", "empty_in_order", "get_num_threads",
    "inverse", "kernels", "kernels_for", "memory_order", "namespace", "numbers", "ravel_alike", "ravel_k",
    "set_num_threads", "to_device", "unravel_like",
]  # fmt: skip
