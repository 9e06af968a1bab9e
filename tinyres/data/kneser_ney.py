"""The n-gram model that a neural one has to beat: interpolated Kneser-Ney smoothing."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tinyres.data.dataset import Array


class _Order(NamedTuple):
    """The counts of one length: of sequences (as numbers, sorted), and of the contexts that they begin with."""

    sequences: Array
    counts: Array
    contexts: Array
    totals: Array  # of the counts, for each context
    followers: Array  # how many different symbols were seen after it
    discount: float


class KneserNey:
    """An n-gram model of a sequence of symbols, with interpolated Kneser-Ney smoothing.

        P_k(w | h) = max(c_k(h w) - D_k, 0) / c_k(h) + D_k N(h) / c_k(h) P_{k-1}(w | h'),    P_0 = 1 / symbols

    h are the k - 1 symbols before w, h' those without the first, N(h) the number of different symbols seen after h. At
    the longest, c is the number of times that h w occurs; below, the number of different symbols seen before it: that
    is Kneser's and Ney's idea, since a short context is asked only where the longer one is new. The discount is
    D = n_1 / (n_1 + 2 n_2), from the numbers of sequences with c = 1 and 2. A context never seen passes on to the
    shorter one. Kneser & Ney 1995 [kneser1995improved], in the interpolated form of Chen & Goodman 1999
    [chen1999empirical].

    Args:
        codes: the sequence, integers in [0, symbols).
        symbols: how many there are.
        order: n; 5 looks at four symbols.

    Raises:
        ValueError: the sequence is shorter than n, or symbols^n does not fit 63 bits.
    """

    def __init__(self, codes: Array, symbols: int, order: int = 5) -> None:
        codes = np.asarray(codes, np.int64)
        if order < 1 or len(codes) < order:
            raise ValueError(f"KneserNey: order {order} needs at least {max(order, 1)} symbols, got {len(codes)}")
        if symbols**order >= 1 << 63:
            raise ValueError(f"KneserNey: {symbols} symbols in order {order} have too many sequences for 63 bits")
        self.symbols, self.order = symbols, order
        self.orders: list[_Order] = []
        sequences, counts = np.unique(self._numbers(codes, order), return_counts=True)
        for k in range(order, 0, -1):
            self.orders.insert(0, self._counted(sequences, counts))
            sequences, counts = np.unique(sequences % symbols ** (k - 1), return_counts=True)  # by what comes before

    def nats(self, codes: Array) -> Array:
        """-ln P of each symbol but the first order - 1, which are only looked back on."""
        codes = np.asarray(codes, np.int64)
        found: Array = np.full(max(len(codes) - self.order + 1, 0), 1 / self.symbols)
        whole = self._numbers(codes, self.order)
        for k, order in enumerate(self.orders, start=1):
            sequence = whole % self.symbols**k
            context = sequence // self.symbols
            total, many = _look_up(order.contexts, (order.totals, order.followers), context)
            (count,) = _look_up(order.sequences, (order.counts,), sequence)
            seen = total > 0
            share = np.maximum(count - order.discount, 0) + order.discount * many * found
            found = np.where(seen, share / np.where(seen, total, 1), found)
        return -np.log(found)

    def _numbers(self, codes: Array, length: int) -> Array:
        """Each run of `length` symbols as one number, the first symbol in the highest place."""
        numbers: Array = np.zeros(max(len(codes) - length + 1, 0), np.int64)
        for i in range(length):
            numbers = numbers * self.symbols + codes[i : i + len(numbers)]
        return numbers

    def _counted(self, sequences: Array, counts: Array) -> _Order:
        contexts, starts = np.unique(sequences // self.symbols, return_index=True)
        totals = np.add.reduceat(counts, starts)
        followers = np.diff(np.append(starts, len(sequences)))
        once, twice = (int((counts == n).sum()) for n in (1, 2))
        # Without sequences seen once nothing is discounted, and without those seen twice all of it would be.
        discount = once / (once + 2 * twice) if once and twice else 0.5
        return _Order(sequences, counts, contexts, totals, followers, discount)


def _look_up(keys: Array, values: tuple[Array, ...], wanted: Array) -> list[Array]:
    """The values of the keys that are wanted; 0 where there is none."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    there = keys[places] == wanted
    return [np.where(there, value[places], 0) for value in values]


__all__ = ["KneserNey"]
