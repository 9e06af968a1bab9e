"""Attention that never holds a matrix of all weights, only a block of them: forward and backward.

A block of queries meets one block of keys after another. Of the softmax, the largest logit and the sum are kept up to
date on the way, and what was summed before is scaled to the new largest (Milakov & Gimelshein 2018
[milakov2018online]). Backward computes the blocks again from the logarithm of that sum (Dao et al. 2022
[dao2022flashattention]). Products are tiles of sums in registers, those of the convolutions. Heads are read where a
projection leaves them, next to each other in a row; a thread lays out the keys and values of one head at a time. Where
a causal mask hides a tile of weights, nothing is computed.
"""

from math import log

from tinyres_kernels.cpu.choices import Choices
from tinyres_kernels.cpu.elementary import exp
from tinyres_kernels.cpu.emit import clear
from tinyres_kernels.cpu.head_rows import HIGH, columns, in_panels, scaled, slopes, summed, weights
from tinyres_kernels.cpu.host import TARGET
from tinyres_kernels.cpu.jit import compiled, kernel
from tinyres_kernels.cpu.loops import row
from tinyres_kernels.cpu.memory import flat, scratch, spanned
from tinyres_kernels.cpu.plan import Machine, Plan, Shape, decide, planner
from tinyres_kernels.cpu.softmax import largest, product
from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import Attention

QUERIES, KEYS = 64, 512  # of a block
SIZES = TARGET.pixels[2]
LOWEST = float("-inf")


@compiled
def _product(x, x0, step, rows, run, w, w0, out, o0, o_step, tail, add):
    """out[o0 + r o_step + lane] = sum_k x[x0 + r step + k] w[w0 + k wide + lane] for lane < tail, or that added."""
    row(2, SIZES, not add, rows, x, x0, step, 1, 0, 1, 0, run, w, w0, run, out, o0, o_step, tail, add)


@compiled
def _weighted(room, w0, line, rows, count, ahead, panels, p0, S, size, wide, out, o0, o_step, add):
    """out[o0 + r o_step + c] = sum_{j < count} room[w0 + r line + j] panel[j, c], or that added to it. Behind the first
    ahead + r + 1 weights of row r there are none but zeros."""
    for first in range(0, rows, SIZES[0]):
        some = min(SIZES[0], rows - first)
        run = min(count, ahead + first + some)
        if run > 0:
            for c in range(0, size, wide):
                _product(room, w0 + first * line, line, some, run, panels, p0 + c * S, out, o0 + first * o_step + c,
                         o_step, min(wide, size - c), add)  # fmt: skip


@compiled
def _seen(causal, ahead, r, count):
    """How many of a block's keys query r may look at, the first query ahead + 1 of them."""
    return min(count, max(0, ahead + r + 1)) if causal else count


@kernel
def _attention(t, threads, q, k, v, out, lse, room, share, sizes, steps, scale, causal):
    B, H, L, S, E, V, queries, block, wide = sizes
    across, line, broad = -(-S // wide), block + HIGH, -(-V // wide) * wide
    of_q, of_k, of_v = steps
    blocks, one = -(-L // queries), room.dtype.type(1)
    ready = t * share
    scores = ready + queries * E
    sums = scores + queries * line
    tops, totals = sums + queries * broad, sums + queries * (broad + 1)
    keys = totals + queries
    values, laid = keys + across * E * wide, -1
    for task in range(B * blocks * t // threads, B * blocks * (t + 1) // threads):
        b, i0 = task // blocks, task % blocks * queries
        n, h = b // H, b % H
        if b != laid:
            columns(k, n * of_k[0] + h * of_k[2], of_k[1], S, E, room, keys)
            in_panels(v, n * of_v[0] + h * of_v[2], of_v[1], S, V, one, room, values)
            laid = b
        rows = min(queries, L - i0)
        scaled(q, n * of_q[0] + i0 * of_q[1] + h * of_q[2], of_q[1], rows, E, scale, room, ready, E)
        for r in range(rows):
            room[tops + r], room[totals + r] = LOWEST, 0
        limit = min(S, i0 + rows) if causal else S
        for j0 in range(0, limit, block):
            count, ahead = min(block, limit - j0), i0 - j0 if causal else block
            for j in range(0, count, wide):
                r = max(0, j - ahead)  # the queries before do not see these keys
                _product(room, ready + r * E, E, rows - r, E, room, keys + (j0 + j) * E, room, scores + r * line + j,
                         line, wide, False)  # fmt: skip
            for r in range(rows):
                here, seen = scores + r * line, _seen(causal, ahead, r, count)
                before = room[tops + r]
                top = max(before, largest(room, here, seen))
                base = top if top > LOWEST else room.dtype.type(0)  # -inf less -inf would be NaN
                total = weights(room, here, seen, count, base)
                if j0 > 0:
                    less = exp(before - base)
                    total += room[totals + r] * less
                    scaled(room, sums + r * broad, 0, 1, broad, less, room, sums + r * broad, 0)
                room[tops + r], room[totals + r] = top, total
            _weighted(room, scores, line, rows, count, ahead, room, values + j0 * wide, S, V, wide, room, sums, broad,
                      j0 > 0)  # fmt: skip
        for r in range(rows):
            at = ((n * L + i0 + r) * H + h) * V
            scaled(room, sums + r * broad, 0, 1, V, one / room[totals + r], out, at, 0)
            lse[b * L + i0 + r] = room[tops + r] + log(room[totals + r])


@kernel
def _attention_dx(
    t, threads, g, q, k, v, y, lse, out, dk, dv, room, share, sizes, steps, scale, causal
):  # fmt: skip
    B, H, L, S, E, V, queries, block, wide = sizes
    of_g, of_q, of_k, of_v, of_y, of_out, of_dk, of_dv = steps
    across, line = -(-S // wide), block + HIGH
    ready = t * share
    scores = ready + queries * E
    others = scores + queries * line
    keys = others + queries * line
    values = keys + across * E * wide
    plain = values + across * V * wide
    for b in range(B * t // threads, B * (t + 1) // threads):
        n, h = b // H, b % H
        k0, v0 = n * of_k[0] + h * of_k[2], n * of_v[0] + h * of_v[2]
        dk0, dv0 = n * of_dk[0] + h * of_dk[2], n * of_dv[0] + h * of_dv[2]
        columns(k, k0, of_k[1], S, E, room, keys)
        columns(v, v0, of_v[1], S, V, room, values)
        in_panels(k, k0, of_k[1], S, E, scale, room, plain)
        for j in range(S):
            clear(dk, dk0 + j * of_dk[1], E)
            clear(dv, dv0 + j * of_dv[1], V)
        for i0 in range(0, L, queries):
            rows = min(queries, L - i0)
            g0, y0 = n * of_g[0] + i0 * of_g[1] + h * of_g[2], n * of_y[0] + i0 * of_y[1] + h * of_y[2]
            o0 = n * of_out[0] + i0 * of_out[1] + h * of_out[2]
            scaled(q, n * of_q[0] + i0 * of_q[1] + h * of_q[2], of_q[1], rows, E, scale, room, ready, E)
            limit = min(S, i0 + rows) if causal else S
            for j0 in range(0, limit, block):
                count, ahead = min(block, limit - j0), i0 - j0 if causal else block
                for j in range(0, count, wide):
                    r = max(0, j - ahead)
                    _product(room, ready + r * E, E, rows - r, E, room, keys + (j0 + j) * E, room,
                             scores + r * line + j, line, wide, False)  # fmt: skip
                    _product(g, g0 + r * of_g[1], of_g[1], rows - r, V, room, values + (j0 + j) * V, room,
                             others + r * line + j, line, wide, False)  # fmt: skip
                for r in range(rows):
                    inner = product(g, g0 + r * of_g[1], y, y0 + r * of_y[1], V)
                    slopes(room, scores + r * line, others + r * line, _seen(causal, ahead, r, count), count,
                           lse[b * L + i0 + r], inner)  # fmt: skip
                for j in range(0, count, HIGH):
                    r = max(0, j - ahead)
                    some, more = rows - r, min(HIGH, count - j)
                    for c in range(0, V, wide):
                        summed(some, room, scores + r * line + j, line, g, g0 + r * of_g[1] + c, of_g[1],
                               dv, dv0 + (j0 + j) * of_dv[1] + c, of_dv[1], more, V - c)  # fmt: skip
                    for e in range(0, E, wide):
                        summed(some, room, others + r * line + j, line, room, ready + r * E + e, E,
                               dk, dk0 + (j0 + j) * of_dk[1] + e, of_dk[1], more, E - e)  # fmt: skip
                _weighted(room, others, line, rows, count, ahead, room, plain + j0 * wide, S, E, wide, out, o0,
                          of_out[1], j0 > 0)  # fmt: skip


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
    share = queries * (E + block + HIGH + broad + 2) + S * broad + -(-S // wide) * wide * E
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
    block = min(KEYS, across)
    share = queries * (E + 2 * (block + HIGH)) + across * (E + V) + S * -(-E // wide) * wide
    room = scratch("attention", out.dtype, threads * share)
    (g, q, k, v, y, out, dk, dv), steps = zip(*map(spanned, (g, q, k, v, y, out, dk, dv)), strict=True)
    sizes, scale = (N * H, H, L, S, E, V, queries, block, wide), room.dtype.type(s.scale)
    _attention_dx(
        threads, g, q, k, v, y, flat(lse), out, dk, dv, room, share, sizes, steps, scale, s.causal
    )  # fmt: skip
