"""The cases of all plans, searched for once: the search asks planners alone, so that it finds the same until their
sources change. Kept on disk for the other tests, their workers and later runs."""

import base64
import pickle
from functools import cache
from pathlib import Path

import tinyres_kernels
from tinyres_kernels.conformance import plans
from tinyres_kernels.cpu.host import TARGET

from tests.kernels.cuda.once import kept, on_disk, stamp

SOURCES = Path(tinyres_kernels.__file__).parent


@cache
def key():
    return f"{stamp(SOURCES)}-{TARGET.lanes}-{TARGET.registers}"


@cache
def found(op, dtype):
    """`plans.suite` of one operation and dtype."""

    def search():
        return base64.b64encode(pickle.dumps(list(plans.suite(ops=[op], dtypes=[dtype])))).decode()

    return pickle.loads(base64.b64decode(kept(on_disk(), f"plans_{op}_{dtype}_{TARGET.lanes}", key(), search)))
