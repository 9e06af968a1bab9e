"""Arrays: which kernels compute on one, which device it is on, and its memory layout. No tensors here, no gradients.

dispatch.py  choosing the kernels for an array, and `tr.kernels`, which forces a choice
devices.py   CPU and GPU, and copies between them
layout.py    memory order (images are channels-last), and flat views in that order
memory.py    large arrays in recycled memory
threads.py   how many threads the compiled kernels use
foreign.py   arrays of other libraries, through DLPack;   convert.py  new arrays from numbers, lists and arrays
random.py    the generator of whatever is given none
"""

from tinyres_kernels.namespace import namespace

from tinyres.arrays.devices import check_device, device_of, to_device, to_floats
from tinyres.arrays.dispatch import CHECK, KERNEL_SETS, KernelDisagreement, kernels, kernels_for
from tinyres.arrays.layout import (
    empty,
    empty_in_order,
    inverse_permutation,
    memory_order,
    ravel_alike,
    ravel_k,
    unravel_like,
)
from tinyres.arrays.threads import get_num_threads, set_num_threads

__all__ = [
    "CHECK", "KERNEL_SETS", "KernelDisagreement", "check_device", "device_of", "empty", "empty_in_order",
    "get_num_threads", "inverse_permutation", "kernels", "kernels_for", "memory_order", "namespace", "ravel_alike",
    "ravel_k", "set_num_threads", "to_device", "to_floats", "unravel_like",
]  # fmt: skip
