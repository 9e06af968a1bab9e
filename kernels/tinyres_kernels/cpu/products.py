"""Products of matrices in tiles of sums held in registers, each operand laid out anew as the tiles read it.

A block of b, some hundred terms by as many columns, is multiplied at a time. It lies in one piece and stays in the
second-level cache, while a tile's rows of a stay in the nearest one until they have met all of it. So tiles of the
result follow each other along its rows: down a column, each would lie in other pages. What is read of a lies either
in rows (`by_rows`: activations times weights) or in columns (`by_columns`: the gradient of weights, a sum over all
rows of two activations).
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
from tinyres_kernels.cpu.loops import row
from tinyres_kernels.cpu.memory import flat, scratch, spanned
from tinyres_kernels.namespace import Array

SIZES = TARGET.pixels[2]  # rows of a tile
HIGH = SIZES[0]  # of a tile that reads columns
TERMS = 256  # that are summed at a time; by rows up to twice as many, if there are no more
APART = TERMS + 16  # how far apart rows are put that lie farther apart: those of some matrices would meet in the cache
COLUMNS = 512  # of b that meet all of a thread's part of a, before the next ones do
CHUNK = 16  # terms that are laid out at a time: of a line of memory, whichever way it runs, all numbers


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
def _lay_out(t, threads, b, step, turned, panels, sizes, terms, wide):
    """b, or where `turned` its transpose, block after block of `terms` terms, each as panels of `wide` columns."""
    K, N = sizes
    blocks, chunks = -(-N // wide), -(-K // CHUNK)
    parts = blocks * chunks
    for p in range(parts * t // threads, parts * (t + 1) // threads):
        k, n = (p % chunks * CHUNK, p // chunks * wide) if turned else (p // blocks * CHUNK, p % blocks * wide)
        block = k // terms * terms
        at = block * blocks * wide + n * min(terms, K - block) + (k - block) * wide
        some, chunk = min(wide, N - n), min(CHUNK, K - k)
        if turned:
            for c in range(chunk):
                for j in range(some, wide):
                    panels[at + c * wide + j] = 0
            for j in range(some):
                for c in range(chunk):
                    panels[at + c * wide + j] = b[(n + j) * step + k + c]
        else:
            for c in range(chunk):
                panels_apart(b, (k + c) * step + n, some, panels, at + c * wide, 0)


@kernel
def _by_rows(t, threads, a, a_step, panels, bias, out, room, sizes, terms, columns, wide, shifts):
    M, K, N = sizes
    first, last = M * t // threads, M * (t + 1) // threads
    across, own = -(-N // wide) * wide, t * HIGH * APART
    for n0 in range(0, N, columns):
        n1 = min(N, n0 + columns)
        for k in range(0, K, terms):
            run = min(terms, K - k)
            for m in range(first, last, HIGH):
                rows = min(HIGH, last - m)
                x, at, step = a, m * a_step + k, a_step
                if terms < K:
                    for r in range(rows):
                        copy(room, own + r * APART, a, at + r * a_step, run)
                    x, at, step = room, own, APART
                for n in range(n0, n1, wide):
                    row(2, SIZES, False, rows, x, at, step, 1, 0, 1, 0, run, panels, k * across + n * run, run, out,
                        m * N + n, N, min(wide, N - n), k > 0)  # fmt: skip
                for r in range(m, m + rows if shifts and k + run == K else m):
                    line = np.uintp(r * N)
                    for c in range(np.uintp(n0), np.uintp(n1)):
                        out[line + c] += bias[c]


@kernel
def _by_columns(t, threads, a, a_step, b, b_step, out, room, share, sizes, terms, wide, line):
    M, K, N = sizes
    strips = -(-M // HIGH)
    first, last = strips * t // threads, strips * (t + 1) // threads
    own, height = first * HIGH, min(M, last * HIGH) - first * HIGH
    lefts = t * share
    rights = lefts + (last - first) * terms * line
    for n0 in range(0, N if last > first else 0, COLUMNS):
        width = min(COLUMNS, N - n0)
        for k0 in range(0, K, terms):
            run = min(terms, K - k0)
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
        "a second tile of rows" if HIGH * threads < M else "",
        "a second block of terms" if K > TERMS else "",
        "a third block of terms" if K > 2 * TERMS else "",
        "a second block of columns" if N > COLUMNS else "",
    )


def product(a: Array, b: Array, out: Array, threads: int, bias: Array | None = None) -> None:
    """out = a b + bias. Memory beside: a copy of b; or, where a lies in columns, a block of each for each thread."""
    (M, K), N = a.shape, b.shape[1]
    lanes = 4 * TARGET.lanes // out.itemsize
    wide, line = 2 * lanes, -(-HIGH // lanes) * lanes
    if a.strides[1] != a.itemsize and a.strides[0] == a.itemsize:
        # Near the square root of K, with which the sums round least, but not so few that to store them costs much.
        terms = TERMS if K >= TERMS**2 else TERMS // 2 if K >= 8 * TERMS else TERMS // 4
        (left, (step, _)), (right, (below, _)) = spanned(a.T), spanned(b)
        share = ((-(-M // HIGH) // threads + 1) * line + min(N, COLUMNS) + wide) * terms
        room = scratch("matmul", out.dtype, threads * share)
        _by_columns(threads, left, step, right, below, out.reshape(-1), room, share, (M, K, N), terms, wide, line)
        if bias is not None:
            out += bias
    else:
        left, (step, _) = spanned(a)
        turned = b.strides[1] != b.itemsize and b.strides[0] == b.itemsize
        right, (below, _) = spanned(b.T if turned else b)
        panels = scratch("panels", out.dtype, -(-N // wide) * K * wide)
        terms, columns = (K, COLUMNS // 2) if TERMS < K <= 2 * TERMS else (TERMS, COLUMNS)
        _lay_out(threads, right, below, turned, panels, (K, N), terms, wide)
        room = scratch("matmul", out.dtype, threads * HIGH * APART if terms < K else 1)
        shift = left[:0] if bias is None else flat(bias)
        given = left, step, panels, shift, out.reshape(-1), room
        _by_rows(threads, *given, (M, K, N), terms, columns, wide, bias is not None)
