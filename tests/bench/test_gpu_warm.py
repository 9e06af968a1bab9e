"""The kernels that a staged run compiles beforehand: all that it launches, and exactly as it launches them."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tinyres.bench import children
from tinyres.bench.gpu import warm

ROOT = Path(__file__).parents[2]
needs_compiler = pytest.mark.skipif(find_spec("numba_cuda") is None, reason="NO COMPILER: numba-cuda is missing")


def fresh(code, **variables):
    """What a process of its own prints: settings of Numba's stay behind in the one that imports it."""
    environment = children.environment(**variables)
    environment.pop("NUMBA_ENABLE_CUDASIM", None)
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout)


@pytest.mark.slow
@needs_compiler
def test_the_list_is_what_is_launched():
    found = fresh("import json; from tests.bench import record; print(json.dumps(record.recorded()))")
    wanted, listed = (sorted(json.dumps(row) for row in rows) for rows in (found, warm.listed()))
    missing, left = set(wanted) - set(listed), set(listed) - set(wanted)
    assert not missing | left, (
        f"the CUDA kernels have changed ({len(missing)} are missing, {len(left)} are launched no more): run "
        "python -m tests.bench.record"
    )


ASKED = """
import json
from importlib import import_module
import numpy as np
from tinyres.bench.gpu import warm
from tinyres_kernels.cuda import launching

def given(argument):  # as a launch gets it
    if isinstance(argument, str):
        return getattr(np, argument)(1) if argument.startswith("float") else 1
    if len(argument) == 2:
        return (1,) * argument[1]
    array = np.empty((2,) * argument[1], argument[0])
    return array if argument[2] == "C" else np.empty((2,) * (argument[1] - 1) + (4,), argument[0])[..., ::2]

told = []
for row in warm.listed():
    module, name = row["make"].rsplit(".", 1)
    made = getattr(import_module(module), name)(*map(warm.decoded, row["given"]))
    ours = launching.types.void(*map(warm._type, row["arguments"]))
    theirs = launching.types.void(*map(launching.kind, map(given, row["arguments"])))
    here = [str(launching.place(made, each, (9, 0))) for each in (ours, theirs)]
    told.append([row["make"], made.py_func.__code__.co_argcount, len(row["arguments"]), *here])
print(json.dumps(told))
"""


@needs_compiler
def test_machine_code_lies_where_a_launch_looks_for_it():
    told = fresh(ASKED)
    for make, takes, gets, ours, theirs in told:
        assert takes == gets, make
        assert ours == theirs, make
    assert len({row[3] for row in told}) == len(told) == len(warm.listed()) > 100


def test_what_a_kernel_is_made_with_comes_back_from_json():
    tiles = pytest.importorskip("tinyres_kernels.cuda.conv_tile", exc_type=ImportError)
    for value in (np.float32, 4, True, None, "x", tiles.Tile(128, 64, 16, 8, 8)):
        back = warm.decoded(json.loads(json.dumps(warm.encoded(value))))
        assert (back, type(back)) == (value, type(value))
    with pytest.raises(TypeError, match=r"types, numbers, strings and named tuples of them, got \[1\]"):
        warm.encoded([1])


def test_the_cpus_kernels_are_compiled_by_putting_their_cases_to_them(monkeypatch):
    cpu = pytest.importorskip("tinyres_kernels.cpu")
    from tinyres_kernels.conformance import OPS

    assert all(callable(getattr(cpu, op)) for op in OPS)
    own, seen = cpu.relu, set()
    monkeypatch.setattr(cpu, "relu", lambda x, out, s: seen.add(str(x.dtype)) or own(x, out, s))
    warm._on_host("relu")
    assert seen == {"float32", "float64"}


FAULTY = """
import json
from tinyres.bench.gpu import warm
if __name__ == "__main__":
    good = next(row for row in warm.listed() if "sgd_kernel" in row["make"])
    bad = {**good, "make": "tinyres_kernels.cuda.update.no_such_kernel"}
    first = warm.compile_all([bad, good], (9, 0), 1)
    print(json.dumps([first, warm.compile_all([bad, good], (9, 0), 1)]))
"""


@pytest.mark.slow
@needs_compiler
def test_a_kernel_that_cannot_be_compiled_costs_no_other(tmp_path):
    script = tmp_path / "faulty.py"  # the processes of a pool read it again
    script.write_text(FAULTY)
    environment = children.environment(NUMBA_CACHE_DIR=os.fspath(tmp_path / "cubins"))
    ran = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
    first, second = json.loads(ran.stdout)
    if first["failed"] == 2:
        pytest.skip(f"NO COMPILER: {first['error']}")
    assert (first["compiled"], first["kept"], first["failed"]) == (1, 0, 1)
    assert "1 of 2 not compiled: tinyres_kernels.cuda.update.no_such_kernel: AttributeError" in first["error"]
    assert (second["compiled"], second["kept"], second["failed"]) == (0, 1, 1)
    assert len(list((tmp_path / "cubins").glob("sgd_kernel.*.cubin"))) == 1
