"""Mean and variance of a convolution's channels, found by the blocks that have just computed them.

Batch norm's statistics are a sum over all pixels of a channel. A block of the convolution has its share of them in
registers: it leaves the mean of each of its channels and the sum of squared deviations from it. Of `FAN` such blocks
the last one to arrive brings them together by Chan's formula, and goes on to meet the last ones of other fans. So
nothing reads the result once more for its statistics, and they have no launch of their own.

Sums are taken of deviations from a number that is one of them, so that no mean is large beside its deviation. Every
order is fixed: the bits are the same each time, whichever block is last.

Ioffe & Szegedy 2015 [ioffe2015batch]; Chan et al. 1979 [chan1979updating].
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from tinyres_kernels.cuda import host
from tinyres_kernels.cuda.host import blocks, helper
from tinyres_kernels.cuda.table import line_at

FAN = 2 if host.SIMULATED else 16  # blocks that are brought together at a time


ONE = 1 << 60  # a momentum comes as an integer, beside addresses: as so many of these parts of 1


class Measure(NamedTuple):
    """The statistics that a convolution leaves: which of the running ones there are."""

    mean: bool
    var: bool
    batches: bool


NOTHING = Measure(False, False, False)


def fans(parts: int) -> int:
    """How many fans there are of so many blocks, and of the fans themselves, down to one."""
    count = 0
    while parts > 1:
        parts = blocks(parts, FAN)
        count += parts
    return count


@cache
def bring_together(real, threads):
    """A function for kernels: the statistics of `members` lots of blocks together, from block `first` on; they come to
    lie where those of the first lot are. A lot is `apart` blocks, and a block has `size` of all `pixels`.

    room: of each block and channel the mean, and behind all of these, at `squares`, the sums of squares. A thread does
    every so many-th of the `count` channels from `channel` on.
    """

    @helper
    def bring_together(room, squares, thread, first, members, apart, size, pixels, channel, count, channels):
        for k in range(thread, count, threads):
            at, total, along, many = first * apart * channels + channel + k, real(0), real(0), np.int64(0)
            origin = room[at]
            for i in range(members):
                here = at + i * apart * channels
                own = min(apart * size, pixels - (first + i) * apart * size)
                off = room[here] - origin
                many += own
                total += off * real(own)
                along += room[squares + here] + off * off * real(own)
            room[at] = origin + total / real(many)
            room[squares + at] = along - total * total / real(many)

    return bring_together


@cache
def tell(real, threads, measure):
    """A function for kernels: mean and variance from what is in `room`, and the running statistics that they move.

    momentum: that of the running ones, in parts of ONE. where: addresses of mean, variance, and running mean, variance
    and batches as they were and as they become. whole: an array of integers of 64 bits.
    """
    HAS_MEAN, HAS_VAR, HAS_BATCHES = measure

    @helper
    def tell(room, squares, momentum, where, whole, thread, pixels, channel, count, channels):
        mean, variance = line_at(room, where[0], channels), line_at(room, where[1], channels)
        old_mean, old_var = line_at(room, where[2], channels), line_at(room, where[3], channels)
        new_mean, new_var = line_at(room, where[5], channels), line_at(room, where[6], channels)
        share = real(momentum) / real(ONE)
        batches, new_batches = line_at(whole, where[4], 1), line_at(whole, where[7], 1)
        for k in range(thread, count, threads):
            at = channel + k
            centre, spread = room[at], room[squares + at] / real(pixels)
            mean[at], variance[at] = centre, spread
            if HAS_MEAN:
                new_mean[at] = (real(1) - share) * old_mean[at] + share * centre
            if HAS_VAR:
                unbiased = real(pixels) / real(pixels - 1) * spread
                new_var[at] = (real(1) - share) * old_var[at] + share * unbiased
            if HAS_BATCHES and at == 0:
                new_batches[0] = batches[0] + 1

    return tell
