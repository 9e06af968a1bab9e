"""Products of matrices in tiles of sums held in registers, each operand laid out anew as the tiles read it.

A block of a few hundred terms is multiplied at a time: the panels of b that it needs stay in the nearest cache, the
block of a in the next one. What is read of a lies either in rows (`by_rows`: activations times weights) or in columns
(`by_columns`: the gradient of weights, a sum over all rows of two activations).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from tinyres_kernels.cpu.emit import I64, Emitter, copy, emitted
from tinyres_kernels.cpu.host import TARGET
from tinyres_kernels.cpu.jit import kernel
from tinyres_kernels.cpu.loops import pack, row
from tinyres_kernels.cpu.memory import flat, native, scratch, spanned
from tinyres_kernels.namespace import Array

SIZES = TARGET.pixels[2]  # rows of a tile
HIGH = SIZES[0]  # of a tile that reads columns
TERMS = 256  # that are summed at a time
ROWS = 10 * HIGH  # of a that meet all of b, before the next ones do
APART = TERMS + 16  # how far apart rows are put that lie farther apart: those of some matrices would meet in the cache
COLUMNS = 512  # of b that meet all of a thread's columns of a


@emitted
def _tile(typing, run, a, a0, a_step, b, b0, out, o0, o_step, high, tail, add):
    """out[o0 + m o_step + lane] = sum_{k < run} a[a0 + k a_step + m] b[b0 + k wide + lane], for m < high, lane < tail;
    with `add`, added to what is there."""
    number = types.intp
    signature = types.void(number, a, number, number, b, number, out, *[number] * 4, types.boolean)

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        run, a, a0, a_step, panel, b0, out, o0, o_step, high, tail, add = args
        e = Emitter(b, signature.args[1].dtype)
        left = e.at(e.data(context, signature.args[1], a), a0)
        right = e.at(e.data(context, signature.args[4], panel), b0)
        acc = e.accumulators(HIGH, 2)
        with cgutils.for_range(b, run) as k:
            line = e.at(right, b.mul(k.index, ir.Constant(I64, 2 * e.lanes)))
            loaded = [e.load(e.at(line, v * e.lanes)) for v in range(2)]
            column = e.at(left, b.mul(k.index, a_step))
            for m in range(HIGH):
                value = e.broadcast(e.at(column, m))
                for v in range(2):
                    e.multiply_add(value, loaded[v], acc[m][v])
        start = e.at(e.data(context, signature.args[6], out), o0)
        for m in range(HIGH):
            with b.if_then(b.icmp_signed("<", ir.Constant(I64, m), high)):
                place = e.at(start, b.mul(o_step, ir.Constant(I64, m)))
                targets = [e.at(place, v * e.lanes) for v in range(2)]
                e.finish([acc[m]], [targets], e.masks(tail, 2), add)
        return context.get_dummy_value()

    return signature, generate


def _spread(chunk: int | None) -> Any:
    """Cut a line into chunks that lie apart: out[o0 + c step + j] = x[x0 + c chunk + j], c = 0, 1, ..., and 0 from
    where a chunk ends to the end of its last vector. chunk None: two vectors."""

    @emitted
    def spread(typing, x, x0, size, out, o0, step):
        number = types.intp

        def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
            x, x0, size, out, o0, step = args
            e = Emitter(b, signature.args[0].dtype)
            length = chunk or 2 * e.lanes
            whole, before = ir.Constant(I64, length), ir.Constant(I64, length - 1)
            start = e.at(e.data(context, signature.args[0], x), x0)
            end = e.at(e.data(context, signature.args[3], out), o0)
            with cgutils.for_range(b, b.sdiv(b.add(size, before), whole)) as c:
                first, place = b.mul(c.index, whole), b.mul(c.index, step)
                left = b.sub(size, first)
                left = b.select(b.icmp_signed("<", left, whole), left, whole)
                for v, mask in enumerate(e.masks(left, -(-length // e.lanes))):
                    e.store(e.load(e.at(start, first, v * e.lanes), mask), e.at(end, place, v * e.lanes))
            return context.get_dummy_value()

        return types.void(x, number, number, x, number, number), generate

    return spread


_columns_apart, panels_apart = _spread(HIGH), _spread(None)


@kernel
def _by_rows(t, threads, a, a_step, panels, bias, out, room, sizes, wide, shifts):
    M, K, N = sizes
    first, last = M * t // threads, M * (t + 1) // threads
    own, far = t * ROWS * APART, K > TERMS
    for m in range(first, last, ROWS):
        rows = min(ROWS, last - m)
        for k in range(0, K, TERMS):
            run = min(TERMS, K - k)
            x, at, step = a, m * a_step + k, a_step
            if far:
                for r in range(rows):
                    copy(room, own + r * APART, a, at + r * a_step, run)
                x, at, step = room, own, APART
            for n in range(0, N, wide):
                row(2, SIZES, False, rows, x, at, step, 1, 0, 1, 0, run, panels, n * K + k * wide, run, out, m * N + n,
                    N, min(wide, N - n), k > 0)  # fmt: skip
        for r in range(m, m + rows if shifts else m):
            at = np.uintp(r * N)
            for c in range(np.uintp(N)):
                out[at + c] += bias[c]


@kernel
def _by_columns(t, threads, a, a_step, b, b_step, out, room, share, sizes, wide, line):
    M, K, N = sizes
    strips = -(-M // HIGH)
    first, last = strips * t // threads, strips * (t + 1) // threads
    own, height = first * HIGH, min(M, last * HIGH) - first * HIGH
    lefts = t * share
    rights = lefts + (last - first) * TERMS * line
    for n0 in range(0, N if last > first else 0, COLUMNS):
        width = min(COLUMNS, N - n0)
        for k0 in range(0, K, TERMS):
            run = min(TERMS, K - k0)
            for k in range(run):
                _columns_apart(a, (k0 + k) * a_step + own, height, room, lefts + k * line, run * line)
                panels_apart(b, (k0 + k) * b_step + n0, width, room, rights + k * wide, run * wide)
            for m in range(0, height, HIGH):
                for n in range(0, width, wide):
                    _tile(run, room, lefts + m // HIGH * run * line, line, room, rights + n * run, out,
                          (own + m) * N + n0 + n, N, height - m, width - n, k0 > 0)  # fmt: skip


def ends(M: int, K: int, N: int, threads: int) -> tuple[str, ...]:
    """What the loops of `product` meet at these sizes."""
    return (
        "a second block of rows" if ROWS * threads < M else "",
        "a second block of terms" if K > TERMS else "",
        "a second block of columns" if N > COLUMNS else "",
    )


def product(a: Array, b: Array, out: Array, threads: int, bias: Array | None = None) -> None:
    """out = a b + bias. Memory beside: a copy of b; or, where a lies in columns, a block of each for each thread."""
    (M, K), N = a.shape, b.shape[1]
    lanes = 4 * TARGET.lanes // out.itemsize
    wide, line = 2 * lanes, -(-HIGH // lanes) * lanes
    if a.strides[1] != a.itemsize and a.strides[0] == a.itemsize:
        (left, (step, _)), (right, (below, _)) = spanned(a.T), spanned(b)
        share = (-(-M // HIGH) // threads + 1) * TERMS * line + TERMS * (min(N, COLUMNS) + wide)
        room = scratch("matmul", out.dtype, threads * share)
        _by_columns(threads, left, step, right, below, out.reshape(-1), room, share, (M, K, N), wide, line)
        if bias is not None:
            out += bias
    else:
        left, (step, _) = spanned(a)
        panels = scratch("panels", out.dtype, -(-N // wide) * K * wide)
        pack(threads, native(b)[None, None, None], panels.reshape(1, -(-N // wide), K, wide))
        room = scratch("matmul", out.dtype, threads * ROWS * APART if K > TERMS else 1)
        shift = left[:0] if bias is None else flat(bias)
        given = left, step, panels, shift, out.reshape(-1), room
        _by_rows(threads, *given, (M, K, N), wide, bias is not None)
