"""Counters by which blocks find out who of them is the last to arrive, and so has what all others have written.

    cuda.syncthreads()                                                    all threads of the block have written
    if thread == 0:
        cuda.threadfence()                                                others see it before they see the ticket
        ticket[0] = cuda.atomic.inc(counters, place, np.uint32(blocks - 1))
        cuda.threadfence()                                                and nothing is read before it is drawn
    cuda.syncthreads()
    if ticket[0] == blocks - 1: ...                                       the last one: it merges, in a fixed order

`atomic.inc` goes from `blocks - 1` back to 0, so the last block leaves the counter as the next launch needs it.

Launches of one stream come one after another, so one line of counters a stream serves them all, those in CUDA graphs
too: a graph is launched on the stream that it was captured on, or while nothing else runs there. CuPy keeps memory by
stream in the same way, so what the blocks write (their room comes from it) relies on no less. A thread of the host has
lines of its own, since the default stream may be another one for each.
"""

from threading import get_ident
from typing import Any

import numpy as np

from tinyres_kernels.namespace import Array, namespace

LEAST = 1 << 12  # counters of a line

_kept: dict[tuple[Any, ...], Array] = {}


def counters(like: Array, count: int) -> Array:
    """At least so many counters, all 0 but while a kernel runs, for the next launch on the current stream.

    A line is kept for good: a graph may hold its address.
    """
    library, size = namespace(like), max(LEAST, 1 << (count - 1).bit_length())
    if library is np:
        key: tuple[Any, ...] = ("simulated", size)
    else:
        key = library, like.device.id, library.cuda.get_current_stream().ptr, get_ident(), size
    if key not in _kept:
        _kept[key] = _zeros(library, size)
    return _kept[key]


def _zeros(library: Any, size: int) -> Array:
    if library is np:
        return np.zeros(size, np.uint32)
    with library.cuda.Stream(non_blocking=True) as stream:  # the current one may capture, and so set nothing to 0 now
        made = library.zeros(size, "uint32")
        stream.synchronize()
    return made
