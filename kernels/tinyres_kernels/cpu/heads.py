"""Attention that never holds a matrix of all weights, only a block of them: forward and backward.

A block of queries meets one block of keys after another. Of the softmax, the largest logit and the sum are kept up to
date on the way, and what was summed before is scaled to the new largest (Milakov & Gimelshein 2018
[milakov2018online]). Backward computes the blocks again from the logarithm of that sum (Dao et al. 2022
[dao2022flashattention]). Products are tiles of sums in registers, those of the convolutions.
"""

from math import log

import numpy as np

from tinyres_kernels.cpu.choices import Choices
from tinyres_kernels.cpu.elementary import exp
from tinyres_kernels.cpu.emit import clear
from tinyres_kernels.cpu.host import TARGET
from tinyres_kernels.cpu.jit import compiled, kernel
from tinyres_kernels.cpu.loops import OUTER, pack, row
from tinyres_kernels.cpu.memory import flat, native, scratch
from tinyres_kernels.cpu.plan import Machine, Plan, Shape, decide, planner
from tinyres_kernels.cpu.softmax import exponentials, largest, product
from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import Attention

QUERIES, KEYS = 64, 512  # of a block
SIZES, TAPS = TARGET.pixels[2], TARGET.taps[2]
LOWEST = float("-inf")


@compiled
def _product(x, x0, step, rows, run, w, w0, out, o0, o_step, wide, add):
    """out[o0 + r o_step + lane] = sum_k x[x0 + r step + k] w[w0 + k wide + lane], or that added to it."""
    row(2, SIZES, not add, rows, x, x0, step, 1, 0, 1, 0, run, w, w0, run, out, o0, o_step, wide, add)


@compiled
def _outer(places, x, x0, taps, g, g0, step, size, sums, s0, s_step, wide):
    """sums[s0 + j s_step + c] += sum_r x[x0 + places[r] + j] g[g0 + r step + c] for j < taps (rounded up), c < size."""
    for j in range(0, taps, TAPS):
        for c in range(0, size, wide):
            tail = min(wide, size - c)
            OUTER(1, places, x, x0 + j, 0, g, g0 + c, 0, step, sums, s0 + j * s_step + c, s_step, tail)


@compiled
def _seen(causal, i, j0, count):
    """How many of the keys from j0 on query i may look at."""
    return min(count, max(0, i + 1 - j0)) if causal else count


@kernel
def _attention(t, threads, q, keys, values, out, lse, room, share, sizes, scale, causal):
    B, L, S, E, V, queries, block, wide = sizes
    across, down, line, broad = -(-S // wide), -(-V // wide), block + TAPS, -(-V // wide) * wide
    blocks = -(-L // queries)
    scaled = t * share
    scores = scaled + queries * E
    sums = scores + queries * line
    tops, totals = sums + queries * broad, sums + queries * (broad + 1)
    for task in range(B * blocks * t // threads, B * blocks * (t + 1) // threads):
        b, i0 = task // blocks, task % blocks * queries
        rows = min(queries, L - i0)
        for k in range(rows * E):
            room[scaled + k] = q[(b * L + i0) * E + k] * scale
        for r in range(rows):
            room[tops + r], room[totals + r] = LOWEST, 0
        limit = min(S, i0 + rows) if causal else S
        for j0 in range(0, limit, block):
            count = min(block, limit - j0)
            for p in range(-(-count // wide)):
                at = (b * across + j0 // wide + p) * E * wide
                _product(room, scaled, E, rows, E, keys, at, room, scores + p * wide, line, wide, False)
            for r in range(rows):
                here, seen = scores + r * line, _seen(causal, i0 + r, j0, count)
                before = room[tops + r]
                top = max(before, largest(room, here, seen))
                base = top if top > LOWEST else room.dtype.type(0)  # -inf less -inf would be NaN
                total = exponentials(room, here, seen, base, room, here)
                clear(room, here + seen, count - seen)
                if j0 > 0:
                    less = exp(before - base)
                    total += room[totals + r] * less
                    for c in range(broad):
                        room[sums + r * broad + c] *= less
                room[tops + r], room[totals + r] = top, total
            for p in range(down):
                at = ((b * down + p) * S + j0) * wide
                _product(room, scores, line, rows, count, values, at, room, sums + p * wide, broad, wide, j0 > 0)
        for r in range(rows):
            whole = room.dtype.type(1) / room[totals + r]
            for c in range(V):
                out[(b * L + i0 + r) * V + c] = room[sums + r * broad + c] * whole
            lse[b * L + i0 + r] = room[tops + r] + log(room[totals + r])


@kernel
def _attention_dx(
    t, threads, g, q, y, lse, keys, values, plain, out, dk, dv, places, room, share, sizes, scale, causal
):  # fmt: skip
    B, L, S, E, V, queries, block, wide = sizes
    across, deep = -(-S // wide), -(-E // wide)
    line, broad, slim = block + TAPS, deep * wide, -(-V // wide) * wide
    scaled = t * share
    scores = scaled + queries * E
    slopes = scores + queries * line
    sums = slopes + queries * line
    of_keys = sums + queries * broad
    of_values = of_keys + (S + TAPS) * broad
    for b in range(B * t // threads, B * (t + 1) // threads):
        clear(room, of_keys, (S + TAPS) * (broad + slim))
        for i0 in range(0, L, queries):
            rows = min(queries, L - i0)
            for k in range(rows * E):
                room[scaled + k] = q[(b * L + i0) * E + k] * scale
            limit = min(S, i0 + rows) if causal else S
            for j0 in range(0, limit, block):
                count = min(block, limit - j0)
                for p in range(-(-count // wide)):
                    place = b * across + j0 // wide + p
                    _product(room, scaled, E, rows, E, keys, place * E * wide, room, scores + p * wide, line, wide,
                             False)  # fmt: skip
                    _product(g, (b * L + i0) * V, V, rows, V, values, place * V * wide, room, slopes + p * wide, line,
                             wide, False)  # fmt: skip
                for r in range(rows):
                    i, seen = b * L + i0 + r, _seen(causal, i0 + r, j0, count)
                    here, there = scores + r * line, slopes + r * line
                    exponentials(room, here, seen, lse[i], room, here)
                    inner = product(g, y, i * V, V)
                    for j in range(seen):
                        room[there + j] = room[here + j] * (room[there + j] - inner)
                    clear(room, here + seen, line - seen)
                    clear(room, there + seen, line - seen)
                _outer(places[:rows], room, scores, count, g, (b * L + i0) * V, V, V, room, of_values + j0 * slim, slim,
                       wide)  # fmt: skip
                _outer(places[:rows], room, slopes, count, room, scaled, E, E, room, of_keys + j0 * broad, broad, wide)
                for p in range(deep):
                    at = ((b * deep + p) * S + j0) * wide
                    _product(room, slopes, line, rows, count, plain, at, room, sums + p * wide, broad, wide, j0 > 0)
            for r in range(rows):
                for e in range(E):
                    out[(b * L + i0 + r) * E + e] = room[sums + r * broad + e] * scale
        for j in range(S):
            for e in range(E):
                dk[(b * S + j) * E + e] = room[of_keys + j * broad + e]
            for c in range(V):
                dv[(b * S + j) * V + c] = room[of_values + j * slim + c]


def _traits(s: Attention) -> tuple[str, ...]:
    return ("causal",) if s.causal else ()


def _ends(L: int, S: int) -> tuple[str, ...]:
    return "several blocks of queries" if L > QUERIES else "", "several blocks of keys" if S > KEYS else ""


@planner("attention")
def _plan(shapes: tuple[Shape, ...], itemsize: int, machine: Machine, choices: Choices, s: Attention) -> Plan:
    (B, L, E), (_, S, _), (_, _, V) = shapes[:3]
    count = min(B * -(-L // QUERIES), machine.threads_for(B * L * S * (E + V), choices))
    return Plan("blocks", _traits(s), count, ends=_ends(L, S))


@planner("attention_dx")
def _plan_dx(shapes: tuple[Shape, ...], itemsize: int, machine: Machine, choices: Choices, s: Attention) -> Plan:
    (B, L, E), (_, S, _), (_, _, V) = shapes[1:4]
    count = min(B, machine.threads_for(B * L * S * (3 * E + 2 * V), choices))
    return Plan("blocks", _traits(s), count, ends=_ends(L, S))


def _wide(a: Array) -> int:
    return 2 * TARGET.lanes * 4 // int(a.itemsize)


def _panels(name: str, a: Array, threads: int) -> Array:
    """(B, K, N), of any strides, as panels of `wide` columns, in which a tile reads line by line."""
    B, K, N = a.shape
    wide = _wide(a)
    made = scratch(name, a.dtype.newbyteorder("="), B * -(-N // wide) * K * wide)
    pack(threads, native(a)[:, None, None], made.reshape(B, -(-N // wide), K, wide))
    return made


def attention(q: Array, k: Array, v: Array, out: Array, lse: Array, s: Attention) -> None:
    """`reference.attention`, block by block. Memory beside the arrays: copies of k and v, and a block a thread."""
    (B, L, E), (S, V), wide = q.shape, v.shape[1:], _wide(q)
    threads = decide("attention", (q.shape, k.shape, v.shape), q.itemsize, s).threads
    queries, block = min(QUERIES, L), min(KEYS, -(-S // wide) * wide)
    share = queries * (E + block + TAPS + -(-V // wide) * wide + 2)
    room = scratch("attention", out.dtype, threads * share)
    keys, values = _panels("keys", k.transpose(0, 2, 1), threads), _panels("values", v, threads)
    sizes = (B, L, S, E, V, queries, block, wide)
    scale = q.dtype.type(s.scale)
    _attention(threads, flat(q), keys, values, out.reshape(-1), lse.reshape(-1), room, share, sizes, scale, s.causal)


def attention_dx(
    g: Array, q: Array, k: Array, v: Array, y: Array, lse: Array, out: Array, dk: Array, dv: Array, s: Attention
) -> None:
    """`reference.attention_dx`, block by block: five products where forward has two. Threads share the batch."""
    (B, L, E), (S, V), wide = q.shape, v.shape[1:], _wide(q)
    threads = decide("attention_dx", (g.shape, q.shape, k.shape, v.shape), q.itemsize, s).threads
    queries, block = min(QUERIES, L), min(KEYS, -(-S // wide) * wide)
    broad, slim = -(-E // wide) * wide, -(-V // wide) * wide
    share = queries * (E + 2 * (block + TAPS) + broad) + (S + TAPS) * (broad + slim)
    room = scratch("attention", out.dtype, threads * share)
    keys, values = _panels("keys", k.transpose(0, 2, 1), threads), _panels("values", v.transpose(0, 2, 1), threads)
    plain = _panels("plain", k, threads)
    places = np.arange(queries) * (block + TAPS)
    sizes = (B, L, S, E, V, queries, block, wide)
    scale = q.dtype.type(s.scale)
    _attention_dx(
        threads, flat(g), flat(q), flat(y), flat(lse), keys, values, plain, out.reshape(-1), dk.reshape(-1),
        dv.reshape(-1), places, room, share, sizes, scale, s.causal,
    )  # fmt: skip
