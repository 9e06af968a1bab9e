"""The architecture as tests: imports point down, the wheel holds two packages, the README's commands are CI's."""

import ast
import graphlib
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]

# Each floor may import from itself and from the floors before it.
FLOORS = [
    ["tinyres_kernels"],
    ["version", "starting", "context", "arrays", "autograd"],
    ["ops"],
    ["gradcheck", "files", "lock", "nn", "optim", "data"],
    ["models", "graph"],
    ["training"],
    ["gan"],
    ["flow"],
    ["lab"],
    ["viewer", "exercises"],
    ["bench", "cli", "__main__"],
]
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}


def room_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[0] if parts[0] == "tinyres_kernels" else parts[1] if parts[0] == "tinyres" and len(parts) > 1 else None


def imports_of(tree):
    """Every import, wherever it stands: in functions and for type checkers, too."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        yield from imports_of(node)


SOURCES = sorted([*(ROOT / "tinyres").rglob("*.py"), *(ROOT / "kernels").rglob("*.py")])


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    here = parts[1]
    if path == ROOT / "tinyres" / "__init__.py":
        return  # the face of the package sees every floor
    assert here in LEVEL, f"{here} stands on no floor: give it one"
    for module in imports_of(ast.parse(path.read_text())):
        there = room_of(module)
        if there in LEVEL:
            assert LEVEL[there] <= LEVEL[here], f"{here} reaches up to {there}"
    if here == "tinyres_kernels":
        roots = {module.split(".")[0] for module in imports_of(ast.parse(path.read_text()))}
        assert not roots & {"tinyres", "cupy"}


def module_of(path):
    folder = ROOT / "kernels" if "kernels" in path.relative_to(ROOT).parts[0] else ROOT
    return ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in SOURCES}


def imported_by(module):
    for name in imports_of(ast.parse(MODULES[module].read_text())):
        while name and name not in MODULES:  # a class or a function of that module
            name = name.rpartition(".")[0]
        if name and name != module:
            yield name


def test_no_two_files_need_each_other():
    graphlib.TopologicalSorter({module: set(imported_by(module)) for module in MODULES}).prepare()


WRITES = {"write_text", "write_bytes", "savefig", "copyfile", "copy2"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_written_whole_or_not_at_all(path):
    """By `tinyres.files`: a full disk or a kill must not leave half a file where a whole one was."""
    if path == ROOT / "tinyres" / "files.py":
        return
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    assert [c.lineno for c in calls if isinstance(c.func, ast.Attribute) and c.func.attr in WRITES] == []


def test_the_kernels_folder_is_no_package():
    assert not (ROOT / "kernels" / "__init__.py").exists()


def test_the_wheel_holds_exactly_the_two_packages(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name.split("/")[0]} == {
        "tinyres",
        "tinyres_kernels",
    }
    assert "py3-none-any" in wheel.name
    assert {"tinyres/py.typed", "tinyres_kernels/py.typed"} <= set(names)


def test_ci_types_the_test_command_of_the_readme():
    commands = re.findall(r"^    (python3 -m venv .*)$", (ROOT / "README.md").read_text(), re.M)
    assert len(commands) == 2
    assert commands[1] in (ROOT / ".ci" / "run").read_text().splitlines()


def test_the_version_is_told_once_in_each_place():
    import tinyres

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == tinyres.__version__
    assert f"version: {tinyres.__version__}" in (ROOT / "CITATION.cff").read_text()
    assert f"## {tinyres.__version__}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("major", ["12", "13"])
def test_the_extra_for_a_cuda_generation_holds_compiler_and_linker_to_one_release(major):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    needed = {r.name: r for r in map(Requirement, extras[f"cuda{major}"])}
    assert f"cupy-cuda{major}x" in needed
    assert needed["numba-cuda"].extras == {f"cu{major}"}
    toolkit = needed["cuda-toolkit"]
    assert toolkit.extras == {"nvjitlink", "nvrtc", "nvcc" if major == "12" else "nvvm"}
    assert str(toolkit.specifier) == f"=={major}.*"
