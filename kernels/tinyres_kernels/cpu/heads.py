"""Attention that never holds a matrix of all weights, only a block of them: forward and backward.

A block of queries meets one block of keys after another. Of the softmax, the largest logit and the sum are kept up to
date on the way, and what was summed before is scaled to the new largest (Milakov & Gimelshein 2018
[milakov2018online]). Backward computes the blocks again from the logarithm of that sum (Dao et al. 2022
[dao2022flashattention]). Products are tiles of sums in registers, those of the convolutions. Heads are read where a
projection leaves them, next to each other in a row; a thread lays out the keys and values of one head at a time.
"""

from math import log

import numpy as np

from tinyres_kernels.cpu.choices import Choices
from tinyres_kernels.cpu.elementary import exp
from tinyres_kernels.cpu.emit import clear
from tinyres_kernels.cpu.host import TARGET
from tinyres_kernels.cpu.jit import compiled, kernel
from tinyres_kernels.cpu.loops import OUTER, row
from tinyres_kernels.cpu.memory import flat, scratch, spanned
from tinyres_kernels.cpu.plan import Machine, Plan, Shape, decide, planner
from tinyres_kernels.cpu.products import panels_apart
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


@compiled
def _turned(x, x0, step, rows, size, out, o0, wide):
    """Rows of x as columns of panels: out[o0 + (r // wide size + e) wide + r % wide] = x[x0 + r step + e], then 0."""
    for first in range(0, rows, wide):
        at = o0 + first * size
        for r in range(wide):
            if first + r < rows:
                for e in range(size):
                    out[at + e * wide + r] = x[x0 + (first + r) * step + e]
            else:
                for e in range(size):
                    out[at + e * wide + r] = 0


@compiled
def _in_panels(x, x0, step, rows, size, out, o0, wide):
    """Rows of x, cut into panels: out[o0 + (c // wide rows + r) wide + c % wide] = x[x0 + r step + c], then 0."""
    for r in range(rows):
        panels_apart(x, x0 + r * step, size, out, o0 + r * wide, rows * wide)


@kernel
def _attention(t, threads, q, k, v, out, lse, room, share, sizes, steps, scale, causal):
    B, H, L, S, E, V, queries, block, wide = sizes
    across, down, line, broad = -(-S // wide), -(-V // wide), block + TAPS, -(-V // wide) * wide
    of_q, of_k, of_v = steps
    blocks = -(-L // queries)
    scaled = t * share
    scores = scaled + queries * E
    sums = scores + queries * line
    tops, totals = sums + queries * broad, sums + queries * (broad + 1)
    keys = totals + queries
    values, laid = keys + across * E * wide, -1
    for task in range(B * blocks * t // threads, B * blocks * (t + 1) // threads):
        b, i0 = task // blocks, task % blocks * queries
        n, h = b // H, b % H
        if b != laid:
            _turned(k, n * of_k[0] + h * of_k[2], of_k[1], S, E, room, keys, wide)
            _in_panels(v, n * of_v[0] + h * of_v[2], of_v[1], S, V, room, values, wide)
            laid = b
        rows, q0 = min(queries, L - i0), n * of_q[0] + i0 * of_q[1] + h * of_q[2]
        for r in range(rows):
            for e in range(E):
                room[scaled + r * E + e] = q[q0 + r * of_q[1] + e] * scale
        for r in range(rows):
            room[tops + r], room[totals + r] = LOWEST, 0
        limit = min(S, i0 + rows) if causal else S
        for j0 in range(0, limit, block):
            count = min(block, limit - j0)
            for p in range(-(-count // wide)):
                at = keys + (j0 // wide + p) * E * wide
                _product(room, scaled, E, rows, E, room, at, room, scores + p * wide, line, wide, False)
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
                at = values + (p * S + j0) * wide
                _product(room, scores, line, rows, count, room, at, room, sums + p * wide, broad, wide, j0 > 0)
        for r in range(rows):
            whole, at = room.dtype.type(1) / room[totals + r], ((n * L + i0 + r) * H + h) * V
            for c in range(V):
                out[at + c] = room[sums + r * broad + c] * whole
            lse[b * L + i0 + r] = room[tops + r] + log(room[totals + r])


@kernel
def _attention_dx(
    t, threads, g, q, k, v, y, lse, out, dk, dv, places, room, share, sizes, steps, scale, causal
):  # fmt: skip
    B, H, L, S, E, V, queries, block, wide = sizes
    of_g, of_q, of_k, of_v, of_y = steps
    across, deep = -(-S // wide), -(-E // wide)
    line, broad, slim = block + TAPS, deep * wide, -(-V // wide) * wide
    scaled = t * share
    scores = scaled + queries * E
    slopes = scores + queries * line
    sums = slopes + queries * line
    of_keys = sums + queries * broad
    of_values = of_keys + (S + TAPS) * broad
    keys = of_values + (S + TAPS) * slim
    values = keys + across * E * wide
    plain = values + across * V * wide
    for b in range(B * t // threads, B * (t + 1) // threads):
        n, h = b // H, b % H
        _turned(k, n * of_k[0] + h * of_k[2], of_k[1], S, E, room, keys, wide)
        _turned(v, n * of_v[0] + h * of_v[2], of_v[1], S, V, room, values, wide)
        _in_panels(k, n * of_k[0] + h * of_k[2], of_k[1], S, E, room, plain, wide)
        clear(room, of_keys, (S + TAPS) * (broad + slim))
        for i0 in range(0, L, queries):
            rows, q0 = min(queries, L - i0), n * of_q[0] + i0 * of_q[1] + h * of_q[2]
            g0, y0 = n * of_g[0] + i0 * of_g[1] + h * of_g[2], n * of_y[0] + i0 * of_y[1] + h * of_y[2]
            for r in range(rows):
                for e in range(E):
                    room[scaled + r * E + e] = q[q0 + r * of_q[1] + e] * scale
            limit = min(S, i0 + rows) if causal else S
            for j0 in range(0, limit, block):
                count = min(block, limit - j0)
                for p in range(-(-count // wide)):
                    place = j0 // wide + p
                    _product(room, scaled, E, rows, E, room, keys + place * E * wide, room, scores + p * wide, line,
                             wide, False)  # fmt: skip
                    _product(g, g0, of_g[1], rows, V, room, values + place * V * wide, room, slopes + p * wide, line,
                             wide, False)  # fmt: skip
                for r in range(rows):
                    i, seen = b * L + i0 + r, _seen(causal, i0 + r, j0, count)
                    here, there = scores + r * line, slopes + r * line
                    exponentials(room, here, seen, lse[i], room, here)
                    inner = product(g, g0 + r * of_g[1], y, y0 + r * of_y[1], V)
                    for j in range(seen):
                        room[there + j] = room[here + j] * (room[there + j] - inner)
                    clear(room, here + seen, line - seen)
                    clear(room, there + seen, line - seen)
                _outer(places[:rows], room, scores, count, g, g0, of_g[1], V, room, of_values + j0 * slim, slim, wide)
                _outer(places[:rows], room, slopes, count, room, scaled, E, E, room, of_keys + j0 * broad, broad, wide)
                for p in range(deep):
                    at = plain + (p * S + j0) * wide
                    _product(room, slopes, line, rows, count, room, at, room, sums + p * wide, broad, wide, j0 > 0)
            for r in range(rows):
                at = ((n * L + i0 + r) * H + h) * E
                for e in range(E):
                    out[at + e] = room[sums + r * broad + e] * scale
        for j in range(S):
            at = (n * S + j) * H + h
            for e in range(E):
                dk[at * E + e] = room[of_keys + j * broad + e]
            for c in range(V):
                dv[at * V + c] = room[of_values + j * slim + c]


def _traits(s: Attention) -> tuple[str, ...]:
    return ("causal",) if s.causal else ()


def _ends(L: int, S: int) -> tuple[str, ...]:
    return "several blocks of queries" if L > QUERIES else "", "several blocks of keys" if S > KEYS else ""


@planner("attention")
def _plan(shapes: tuple[Shape, ...], itemsize: int, machine: Machine, choices: Choices, s: Attention) -> Plan:
    (N, L, H, E), (_, S, _, _), (_, _, _, V) = shapes[:3]
    count = min(N * H * -(-L // QUERIES), machine.threads_for(N * H * L * S * (E + V), choices))
    return Plan("blocks", _traits(s), count, ends=_ends(L, S))


@planner("attention_dx")
def _plan_dx(shapes: tuple[Shape, ...], itemsize: int, machine: Machine, choices: Choices, s: Attention) -> Plan:
    (N, L, H, E), (_, S, _, _), (_, _, _, V) = shapes[1:4]
    count = min(N * H, machine.threads_for(N * H * L * S * (3 * E + 2 * V), choices))
    return Plan("blocks", _traits(s), count, ends=_ends(L, S))


def _wide(a: Array) -> int:
    return 2 * TARGET.lanes * 4 // int(a.itemsize)


def attention(q: Array, k: Array, v: Array, out: Array, lse: Array, s: Attention) -> None:
    """`reference.attention`, block by block. Memory beside the arrays, for each thread: copies of a head's keys and
    values, and a block."""
    (N, L, H, E), (_, S, _, V), wide = q.shape, v.shape, _wide(q)
    threads = decide("attention", (q.shape, k.shape, v.shape), q.itemsize, s).threads
    queries, block = min(QUERIES, L), min(KEYS, -(-S // wide) * wide)
    broad = -(-V // wide) * wide
    share = queries * (E + block + TAPS + broad + 2) + S * broad + -(-S // wide) * wide * E
    room = scratch("attention", out.dtype, threads * share)
    lines, steps = zip(*map(spanned, (q, k, v)), strict=True)
    sizes, scale = (N * H, H, L, S, E, V, queries, block, wide), out.dtype.type(s.scale)
    _attention(threads, *lines, out.reshape(-1), lse.reshape(-1), room, share, sizes, steps, scale, s.causal)


def attention_dx(
    g: Array, q: Array, k: Array, v: Array, y: Array, lse: Array, out: Array, dk: Array, dv: Array, s: Attention
) -> None:
    """`reference.attention_dx`, block by block: five products where forward has two. Threads share the heads."""
    (N, L, H, E), (_, S, _, V), wide = q.shape, v.shape, _wide(q)
    threads = decide("attention_dx", (g.shape, q.shape, k.shape, v.shape), q.itemsize, s).threads
    queries, across = min(QUERIES, L), -(-S // wide) * wide
    broad, slim, block = -(-E // wide) * wide, -(-V // wide) * wide, min(KEYS, across)
    share = queries * (E + 2 * (block + TAPS) + broad) + (S + TAPS) * (broad + slim) + across * (E + V) + S * broad
    room = scratch("attention", out.dtype, threads * share)
    lines, steps = zip(*map(spanned, (g, q, k, v, y)), strict=True)
    places = np.arange(queries) * (block + TAPS)
    sizes, scale = (N * H, H, L, S, E, V, queries, block, wide), out.dtype.type(s.scale)
    _attention_dx(
        threads, *lines, flat(lse), out.reshape(-1), dk.reshape(-1), dv.reshape(-1), places, room, share, sizes, steps,
        scale, s.causal,
    )  # fmt: skip
