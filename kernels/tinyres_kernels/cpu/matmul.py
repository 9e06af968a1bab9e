"""The matrix product: in tiles of our own (products.py), or by BLAS, one call per thread, for narrow matrices and very
large ones.

BLAS has threads of its own, and OpenBLAS's keep spinning after a product, for some 25 ms each time, on the cores that
the next kernel runs on: convolutions behind a product took up to twice as long. So BLAS is limited to one
thread, and the rows of the result are divided among threads that wait without spinning. To wake these takes as long as
a product of 2048 x 128 x 128: our own tiles share out their work as all other kernels do.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from tinyres_kernels.cpu import products
from tinyres_kernels.cpu.choices import Choices
from tinyres_kernels.cpu.plan import Machine, Plan, Shape, decide, planner
from tinyres_kernels.namespace import Array

SHARED = 8  # a product has to be so many times larger than a loop to be worth the way through Python


@planner("matmul")
def _plan(shapes: tuple[Shape, ...], itemsize: int, machine: Machine, choices: Choices, s: None) -> Plan:
    (M, K), (_, N), *_rest = shapes
    most = M // int(choices.limit("matmul_rows"))  # threads that have enough rows each
    enough = choices.limit("tiles_rows") <= M and choices.limit("tiles_columns") <= N
    worth = enough and min(M, K, N) < choices.limit("tiles_most")
    if choices.take("tiles", True, worth):
        threads = max(1, min(machine.threads_for(M * N * K, choices), most))
        return Plan("tiles", threads=threads, ends=products.ends(M, K, N, threads))
    return Plan("blas", threads=max(1, min(machine.threads_for(M * N * K / SHARED, choices), most)))


@cache
def _blas() -> list[Any]:
    return [library for library in ThreadpoolController().lib_controllers if library.user_api == "blas"]


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, "tinyres-matmul")


def by_blas(a: Array, b: Array, out: Array, threads: int) -> None:
    """out = a b, its rows shared out among the threads."""
    M = len(out)
    before = [(library, number) for library in _blas() if (number := library.get_num_threads()) != 1]
    for library, _ in before:
        library.set_num_threads(1)
    try:
        parts = [slice(M * t // threads, M * (t + 1) // threads) for t in range(threads)]
        waiting = [_pool(threads - 1).submit(np.matmul, a[part], b, out=out[part]) for part in parts[1:]]
        np.matmul(a[parts[0]], b, out=out[parts[0]])
        for part in waiting:
            part.result()
    finally:
        for library, number in before:
            library.set_num_threads(number)


def matmul(a: Array, b: Array, out: Array) -> None:
    """`reference.matmul`."""
    plan = decide("matmul", (a.shape, b.shape), a.itemsize)
    if plan.way == "tiles":
        products.product(a, b, out, plan.threads)
    else:
        by_blas(a, b, out, plan.threads)
