"""The CUDA kernels without a GPU: Numba's simulator runs them, conformance judges. One process does all the checks.

This proves index arithmetic, tails, barriers that all threads reach and that none is missing, and orders of summation.
It proves nothing about races within a warp or between blocks, nor about speed.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kernels.cuda.once import found_once

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("simulated", HERE / "simulated.py")
simulated = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(simulated)
pytestmark = [pytest.mark.cudasim, pytest.mark.slow]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What each check found, by its name."""
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    look = subprocess.run(
        [sys.executable, "-c", "from numba import cuda"], env=environment, capture_output=True, text=True
    )
    if look.returncode:
        pytest.skip("NO SIMULATOR: numba-cuda is missing, so no CUDA kernel was run; pip install 'numba-cuda[cu12]'")

    def simulate():
        command = [sys.executable, str(HERE / "simulated.py")]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
        assert run.returncode == 0, run.stderr[-3000:]
        return run.stdout

    return dict(map(json.loads, found_once(tmp_path_factory, "simulated.jsonl", simulate).splitlines()))


@pytest.mark.parametrize("name", simulated.NAMES)
def test_simulated(told, name):
    assert told[name] == []
