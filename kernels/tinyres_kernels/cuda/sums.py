"""The sum of what several blocks have computed of the same results, in a launch of its own: a tree of a fixed shape."""

from tinyres_kernels.cuda import host
from tinyres_kernels.cuda.host import blocks, cuda, jit, kernel, launch, real
from tinyres_kernels.namespace import Array

ACROSS, DOWN = (8, 2) if host.SIMULATED else (8, 32)  # threads of a block: side by side, and for each result
THREADS = ACROSS * DOWN


@kernel("rrn")
def parts_sum_kernel(real):
    """Thread (tx, ty) adds every so many-th part of a result; then the threads of a result add up in halves.

    One thread for all parts would wait for memory part after part, and most multiprocessors would have no thread.
    """

    @jit
    def parts_sum_kernel(parts, out, count):
        shared = cuda.shared.array(THREADS, real)
        tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
        i, own = cuda.blockIdx.x * ACROSS + tx, ty * ACROSS + tx
        total = real(0)
        if i < out.size:
            for part in range(ty, count, DOWN):
                total += parts[part * out.size + i]
        shared[own] = total
        cuda.syncthreads()
        half = DOWN // 2
        while half > 0:
            if ty < half:
                shared[own] += shared[own + half * ACROSS]
            cuda.syncthreads()
            half //= 2
        if ty == 0 and i < out.size:
            out[i] = shared[tx]

    return parts_sum_kernel


def add_parts(parts: Array, out: Array, count: int) -> None:
    """out[i] = sum_part parts[part, i], both as lines."""
    launch(parts_sum_kernel(real(out)), blocks(out.size, ACROSS), (ACROSS, DOWN), parts, out, count)
