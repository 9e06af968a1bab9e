"""The CUDA kernels without a GPU: compiled to PTX and, by ptxas, to machine code.

What ptxas says is kept to bounds: no spills for sm_90, registers and shared memory enough for several blocks on a
multiprocessor. The tests look at a few kernels for sm_90, one of each kind; marked `slow`, at all of them, and for
sm_80 at the convolutions of float32 and one tile. Of conv2d_dx and of what follows a product there are the largest tile
and one other; of what goes number by number there is one tile, and in float64 the largest one.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.kernels.cuda.compiled import ONE, count, for_each_target
from tests.kernels.cuda.once import found_once

HERE = Path(__file__).parent
TARGETS = ["8.0", "9.0"]
REGISTERS, SHARED = 128, 48 * 1024  # of a thread; of a block, which is what a kernel may declare
PARAMETERS = 4096 // 8  # of a kernel
FILE = 64 * 1024  # registers of a multiprocessor
FEW = [
    ("conv2d_naive", "float64"), ("add_kernel, 4 at once", "float32"), ("add_kernel, 4 at once", "float64"),
    ("cross_entropy_kernel", "float32"), ("conv2d 64x16 by 4", "float32"), ("conv2d_dx 64x16 by 4", "float32"),
    ("conv2d_dw 64x16 by 4", "float32"), ("winograd 32x32", "float32"),
]  # fmt: skip


def compiled(tmp_path_factory, name, shares=1, **chosen):
    """A row a kernel, type and target, found by processes of their own: compilation leaves Numba's settings behind.

    shares: how many processes. Where all workers wait for it, as many as there are cores.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("NUMBA_ENABLE_CUDASIM", None)

    def compile_them():
        with ThreadPoolExecutor(shares) as pool:
            runs = list(pool.map(one_share, range(shares)))
        for run in runs:
            if run.returncode == 3:
                said = run.stderr.strip()
                pytest.skip(f"NO COMPILER: {said}, no CUDA kernel compiled; pip install 'numba-cuda[cu12]'")
            assert run.returncode == 0, run.stderr[-3000:]
        return "".join(run.stdout for run in runs)

    def one_share(number):
        command = [sys.executable, str(HERE / "compiled.py"), json.dumps(chosen | {"share": [number, shares]})]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    return [json.loads(line) for line in found_once(tmp_path_factory, name, compile_them).splitlines()]


@pytest.fixture(scope="module")
def every(tmp_path_factory):
    return compiled(tmp_path_factory, "compiled", shares=min(4, os.cpu_count() or 1), targets=TARGETS)


SETS = ["a few", *(pytest.param(target, marks=pytest.mark.slow) for target in TARGETS)]


@pytest.fixture(scope="module", params=SETS)
def table(request, tmp_path_factory):
    """The rows of one target: a few for the last, or all."""
    if request.param == "a few":
        return compiled(tmp_path_factory, "compiled_few", targets=TARGETS[-1:], only=FEW)
    return [row for row in request.getfixturevalue("every") if row["target"] == request.param]


def of(table, every, few):
    """What the table is to hold."""
    return every if len(table) > len(FEW) else few


@pytest.mark.slow
def test_every_kernel_is_compiled_for_the_last_target_and_the_convolutions_for_both(every):
    seen = Counter((row["target"], row["type"]) for row in every)
    assert set(seen) == {(TARGETS[0], "float32"), (TARGETS[1], "float32"), (TARGETS[1], "float64")}
    first, last = ({(row["kernel"], row["type"]) for row in every if row["target"] == target} for target in TARGETS)
    assert first == {row for row in last if for_each_target(*row)}
    assert len(first) >= 14  # six with tiles, three without, and Winograd's
    assert min(seen[TARGETS[1], real] for real in ("float32", "float64")) >= 34  # 24 kernels, some at two widths
    assert {"conv2d_naive", "conv2d_dx 128x128 by 4", "conv2d_dw 64x16 by 1", "cross_entropy_kernel"} <= dict(
        last
    ).keys()


def test_one_of_each_kind_is_compiled(table):
    (target,) = {row["target"] for row in table}
    few = {row for row in FEW if target == TARGETS[-1] or for_each_target(*row)}
    assert {(row["kernel"], row["type"]) for row in table} >= few


def test_registers_and_shared_memory_are_bounded_and_nothing_spills(table, capsys):
    with capsys.disabled():
        print(f"\nsm_{table[0]['target'].replace('.', '')}: kernel, type, registers, shared memory, bytes spilled")
        for row in table:
            print(f"  {row['kernel']:27} {row['type']}  {row['registers']:4} {row['shared']:6} {row['spilled']:4}")
    for row in table:
        if row["target"] == TARGETS[-1] or not row["resident"]:  # tiles are cut for sm_90; for sm_80 some do spill
            assert row["spilled"] == row["stack"] == 0, row
        assert 0 < row["registers"] <= (FILE // (32 * row["resident"]) if row["resident"] else REGISTERS), row
        assert row["shared"] <= SHARED, row


def test_kernels_for_float32_compute_in_float32(table):
    """A constant without a type would make Numba compute in float64, at a fraction of the speed on most cards."""
    assert [row["kernel"] for row in table if row["type"] == "float32" and row["doubles"]] == []


WIDTHS = {"u64": "q", "f32": "f4x", "f64": "d"}


def test_what_a_launch_writes_is_what_the_kernel_reads(table):
    """Count, order and width of the parameters, and that addresses are read where addresses are written: those of
    arrays, since those in a table are numbers until a block has found its row."""
    for row in table:
        assert "".join(WIDTHS[given] for given in row["parameters"]) == row["written"], row["kernel"]
        place, addresses = 0, []
        for letter in row["arguments"]:
            axes = {"r": 1, "l": 1, "u": 1, "R": 2, "q": 4, "i": 4}.get(letter)
            if axes:
                addresses.append(place + 4)
            place += 5 + 2 * axes if axes else 1 if letter in ("s", "n") else count(letter)
        assert place == len(row["parameters"]) <= PARAMETERS, row["kernel"]
        assert row["addresses"], row["kernel"]
        assert set(row["addresses"]) <= set(addresses), row["kernel"]


def test_arrays_have_the_parts_that_a_launch_writes():
    models = pytest.importorskip("numba.cuda.datamodel.models", reason="NO NUMBA.CUDA")
    types, manager = (pytest.importorskip(f"numba.cuda.{name}") for name in ("types", "datamodel"))
    model = models.ArrayModel(manager.default_manager, types.float32[:, ::1])
    assert list(model._fields) == ["meminfo", "parent", "nitems", "itemsize", "data", "shape", "strides"]


def test_a_kernel_is_one_piece(table):
    """What it calls has been linked in: nothing is left for the driver to look for."""
    assert [(row["kernel"], row["missing"]) for row in table if row["missing"]] == []


def places_on_disk(table):
    """What tells kernels apart does not hold an address, which another process would not find again."""
    assert [name for name, count in Counter(row["file"] for row in table).items() if count > 1] == []
    assert [row["described"] for row in table if " at 0x" in row["described"]] == []


def test_no_two_kernels_share_a_place_on_disk(table):
    places_on_disk(table)


@pytest.mark.slow
def test_no_two_kernels_of_two_targets_share_a_place_on_disk(every):
    places_on_disk(every)


# Of a line of a slab: products, and loads of four numbers from shared memory.
LINES = {
    "128x128": (64, 4), "128x64": (64, 4), "64x64": (32, 3), "128x32": (32, 3), "64x32": (16, 2),
    "128x16": (32, 3), "64x16": (16, 2), "32x16": (16, 2), "128x4": (16, 2),
}  # fmt: skip
DEEP = {"128x4": 8}  # lines of a slab, where they are not 16


def test_a_slab_is_multiplied_without_a_branch_and_from_registers(table):
    """All of a slab's products, once, and `(down + across) / 4` loads for `down x across` of them."""
    rows = [r for r in table if r["type"] == "float32" and " by " in r["kernel"]]
    every = set(LINES) if table[0]["target"] == TARGETS[-1] else {ONE}
    assert {row["kernel"].split()[1] for row in rows} == of(table, every, {ONE})
    for row in rows:
        shape = row["kernel"].split()[1]
        products, loads = LINES[shape]
        assert row["products"] == products * DEEP.get(shape, 16), row
        assert row["loads"]["shared by 4"] == loads * DEEP.get(shape, 16), row
        assert row["loads"]["shared by 1"] <= ("dw" in row["kernel"]), row  # who is the last
        assert row["loads"]["shared by 2"] == 0, row


# Of a slab of Winograd's way: products at two places, loads of four numbers, and a thread's copies of weights.
SLABS = {"winograd 32x64": (512, 32, 4), "winograd 32x32": (256, 24, 2)}


def test_winograds_slab_is_multiplied_from_registers_and_its_weights_need_none(table):
    rows = [row for row in table if row["kernel"] in SLABS]
    assert len(rows) == of(table, len(SLABS), 1)
    for row in rows:
        products, loads, copies = SLABS[row["kernel"]]
        assert products <= row["products"] <= products + 16, row  # and some of what is computed tap by tap
        assert (row["loads"]["shared by 4"], row["copies"]) == (loads, {"cg": copies, "ca": 0}), row
        assert row["spilled"] == row["stack"] == 0, row


def test_what_can_be_copied_by_fours_is_and_nothing_is_loaded_into_registers(table):
    for row in table:
        if row["type"] == "float32" and row["kernel"].endswith("by 4"):
            op = row["kernel"].split()[0]
            loads = {row["loads"][f"global by {width}"] for width in (1, 2, 4)[: 2 if op == "conv2d_dw" else 3]}
            assert loads == {0}, row  # but parts that are merged
            assert (row["copies"]["cg"] > 0) == (op != "conv2d_dx"), row  # 16 bytes: weights, and all of conv2d_dw
            assert (row["copies"]["ca"] > 0) == (op != "conv2d_dw"), row  # what lies across a slab, number by number


def test_kernels_that_take_four_at_once_load_and_store_so(table):
    """`by 2` is what four doubles are: two loads of 16 bytes. Of what is left over, numbers come one by one."""
    seen = [row for row in table if row["kernel"].endswith("4 at once")]
    wide = {"add", "relu", "relu_dx", "sgd", "adam", "normalise", "normalise_dx"}
    here = wide if table[0]["target"] == TARGETS[-1] else set()
    assert {row["kernel"].split("_kernel")[0] for row in seen} == of(table, here, {"add"})
    for row in seen:
        width, count = ("4", 1) if row["type"] == "float32" else ("2", 2)
        assert row["loads"][f"global by {width}"] >= count, row
        assert row["stores"][width] >= count, row
