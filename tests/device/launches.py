"""How many kernels would be launched: ours by their names, and the array library's, one for each of its operations.

An operation of the stand-in counts where it computes or copies: what gives a view launches nothing, nor does making
room. Some take CuPy more than one launch (a long sum two, `linalg.norm` several), so its true count is not below this.
"""

from collections import Counter
from contextlib import contextmanager
from types import SimpleNamespace
from typing import NamedTuple
from unittest import mock

import numpy as np
from tinyres_kernels.cuda import launching

from tests.device import double
from tests.device.stand_in import standing_in
from tinyres.arrays import dispatch


class Launches(NamedTuple):
    """By name."""

    ours: Counter[str]
    library: Counter[str]

    @property
    def total(self):
        return self.ours.total() + self.library.total()

    def __str__(self):
        def listed(kind, counter):
            names = "".join(f"\n  {count:5}  {name}" for name, count in counter.most_common())
            return f"{counter.total():5}  {kind}{names}"

        return f"{listed('kernels of ours', self.ours)}\n{listed('of the array library', self.library)}"


@contextmanager
def counted():
    """Inside, the CUDA kernels serve the stand-in's arrays, as they serve CuPy's. They are counted, and not run: what
    they would have written holds anything."""
    found = Launches(Counter(), Counter())

    def launch(compiled, grid, block, arguments):
        if any(isinstance(a, np.ndarray) for a in arguments):
            raise launching._on_host(arguments)
        found.ours[compiled.py_func.__name__] += 1

    card = SimpleNamespace(getDevice=lambda: 0, getDeviceProperties=lambda device: {"l2CacheSize": 50 << 20})
    with (
        mock.patch.object(launching, "launch", launch),
        mock.patch.object(dispatch, "_on_gpu", lambda a: type(a) is double.ndarray and a.dtype in dispatch._COMPILED),
        mock.patch.object(double, "note", lambda name: found.library.update([name])),
        standing_in() as cupy,
    ):
        cupy.cuda.runtime = card
        yield found
