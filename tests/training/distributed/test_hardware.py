"""A rank keeps to its own cores."""

import os
import subprocess
import sys

import pytest

ONE_RANK = """
from types import SimpleNamespace

import numpy as np
from threadpoolctl import threadpool_info

from tinyres.arrays import get_num_threads
from tinyres.training.distributed import assign_hardware

np.ones((300, 300)) @ np.ones((300, 300))
assign_hardware(SimpleNamespace(threads=lambda: 1), "cpu")
print(get_num_threads(), *{pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"})
"""


@pytest.mark.parametrize(("said", "found"), [({}, "1 1"), ({"NUMBA_NUM_THREADS": "2"}, "2 2")])
def test_kernels_and_blas_have_the_threads_of_the_rank_unless_somebody_said_how_many(said, found):
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_NUM_THREADS"}
    environment |= {"OPENBLAS_NUM_THREADS": "2", **said}
    ran = subprocess.run([sys.executable, "-c", ONE_RANK], env=environment, capture_output=True, text=True)
    assert (ran.stdout.strip(), ran.stderr) == (found, "")
