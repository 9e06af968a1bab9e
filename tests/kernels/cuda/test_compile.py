"""The CUDA kernels without a GPU: all are compiled to PTX and, by ptxas, to machine code, for sm_80 and sm_90.

What ptxas says is kept to bounds: no spills, registers and shared memory enough for several blocks on a multiprocessor.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TARGETS = ["8.0", "9.0"]
REGISTERS, SHARED = 128, 48 * 1024  # of a thread; of a block, which is what a kernel may declare
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def table():
    """A row a kernel, type and target, found by a process of its own: compilation leaves Numba's settings behind."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("NUMBA_ENABLE_CUDASIM", None)
    run = subprocess.run(
        [sys.executable, str(HERE / "compiled.py"), *TARGETS], env=environment, capture_output=True, text=True
    )
    if run.returncode == 3:
        pytest.skip(f"NO COMPILER: {run.stderr.strip()}, no CUDA kernel compiled; pip install 'numba-cuda[cu12]'")
    assert run.returncode == 0, run.stderr[-3000:]
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_every_kernel_is_compiled_for_both_targets(table):
    seen = Counter((row["target"], row["type"]) for row in table)
    assert set(seen) == {(target, real) for target in TARGETS for real in ("float32", "float64")}
    assert min(seen.values()) >= 31  # 25 kernels, and two for each of at least three tiles
    names = {row["kernel"] for row in table}
    assert {"conv2d_naive", "gather_kernel 128x128", "weight_kernel 128x16", "cross_entropy_kernel"} <= names


@pytest.mark.parametrize("target", TARGETS)
def test_registers_and_shared_memory_are_bounded_and_nothing_spills(table, target, capsys):
    rows = [row for row in table if row["target"] == target]
    with capsys.disabled():
        print(f"\nsm_{target.replace('.', '')}: kernel, type, registers, bytes of shared memory")
        for row in rows:
            print(f"  {row['kernel']:27} {row['type']}  {row['registers']:4} {row['shared']:6}")
    for row in rows:
        assert row["spilled"] == row["stack"] == 0, row
        assert 0 < row["registers"] <= REGISTERS, row
        assert row["shared"] <= SHARED, row


@pytest.mark.parametrize("target", TARGETS)
def test_kernels_for_float32_compute_in_float32(table, target):
    """A constant without a type would make Numba compute in float64, at a fraction of the speed on most cards."""
    rows = [row for row in table if row["target"] == target and row["type"] == "float32"]
    assert [row["kernel"] for row in rows if row["doubles"]] == []


@pytest.mark.parametrize("target", TARGETS)
def test_the_sums_of_a_tile_lie_in_registers(table, target):
    """The inner loop multiplies `down x across` times for `down + across` loads from shared memory."""
    tiles = {"128x128": (64, 16), "128x64": (32, 12)}
    for row in table:
        name, _, shape = row["kernel"].partition(" ")
        if row["target"] == target and row["type"] == "float32" and name == "gather_kernel" and shape in tiles:
            products, loads = tiles[shape]
            assert (row["products"] % products, row["products"] > 0) == (0, True), row
            assert row["loads"] * products == loads * row["products"], row
