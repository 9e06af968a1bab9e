"""A plugin of pytest's: the CUDA kernels, in Numba's simulator, serve the stand-in for CuPy as they would serve CuPy.

    NUMBA_ENABLE_CUDASIM=1 python -m pytest -p tests.device.serving -m "not gpu and not cudasim" tests/device

The stand-in's arrays get CuPy's `__cuda_array_interface__`, by which tinyres takes them for a GPU's, and the simulator
is shown the memory behind them. Arrays of more than `MOST` numbers are served by whole-array operations, as they are
without this plugin: each thread is run by Python, and a whole net would take minutes. At the end it is told which
kernels ran, and the run fails where one of them never did.
"""

import importlib.util
from pathlib import Path
from unittest import mock

import pytest
from numba.cuda.simulator import kernel as simulator
from tinyres_kernels.cuda.host import MADE, SIMULATED

from tests.device import double
from tinyres.arrays import dispatch

BLOCKS = Path(__file__).parents[1] / "kernels" / "cuda" / "simulated_blocks.py"
MOST = 128  # numbers of an array that the simulated kernels serve
launched = {}  # launches of each kernel, by name

assert SIMULATED, "set NUMBA_ENABLE_CUDASIM=1 before the start"
_spec = importlib.util.spec_from_file_location("simulated_blocks", BLOCKS)
_blocks = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_blocks)


def run(compiled, *arguments):
    launched[compiled.__name__] = launched.get(compiled.__name__, 0) + 1
    _blocks.run(compiled, *map(double.down, arguments))  # which refuses NumPy's arrays


def interface(array):
    host = array._host.__array_interface__
    return {"shape": host["shape"], "typestr": host["typestr"], "data": host["data"], "strides": host["strides"],
            "version": 3}  # fmt: skip


def pytest_configure(config):
    serves = dispatch._on_gpu
    mock.patch.object(simulator.FakeCUDAKernel, "__call__", run).start()
    mock.patch.object(double.ndarray, "__cuda_array_interface__", property(interface), create=True).start()
    mock.patch.object(dispatch, "_on_gpu", lambda array: serves(array) and array.size <= MOST).start()


def pytest_sessionfinish(session, exitstatus):
    config = session.config
    if hasattr(config, "workeroutput"):  # one of xdist's workers, which tells the process that counts
        config.workeroutput["launched"] = launched
    elif config.args == ["tests/device"] and exitstatus == 0 and never_launched():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    for name, count in getattr(node, "workeroutput", {}).get("launched", {}).items():
        launched[name] = launched.get(name, 0) + count


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"launches in the simulator: {sum(launched.values())} of {len(launched)} kernels")
    if never_launched():
        terminalreporter.write_line(f"never launched: {', '.join(never_launched())}")


def never_launched():
    """Kernels that have not run, by name."""
    return sorted({*MADE, "gather_kernel", "weight_kernel"} - set(launched))
