"""The architecture as tests: imports point down, the wheel holds two packages, the README's commands are CI's."""

import ast
import graphlib
import re
import subprocess
import sys
import tomllib
import zipfile

import pytest
from packaging.requirements import Requirement

from tests.house import LEVEL, PARTS, ROOT, SOURCES, drawn, imports_of, lines_of, parsed, room_of


def test_imports_point_down():
    upwards = []
    for path in SOURCES:
        here = path.relative_to(ROOT).with_suffix("").parts[1]
        if path == ROOT / "tinyres" / "__init__.py":
            continue  # the face of the package sees every floor
        assert here in LEVEL, f"{here} stands on no floor: give it one"
        modules = list(imports_of(path))
        upwards += [
            f"{path} reaches up to {there}" for there in map(room_of, modules) if LEVEL.get(there, 0) > LEVEL[here]
        ]
        if here == "tinyres_kernels":
            upwards += [f"{path} imports {name}" for name in modules if name.split(".")[0] in ("tinyres", "cupy")]
    assert upwards == []


def module_of(path):
    folder = ROOT / "kernels" if "kernels" in path.relative_to(ROOT).parts[0] else ROOT
    return ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in SOURCES}


def imported_by(module):
    for name in imports_of(MODULES[module]):
        while name and name not in MODULES:  # a class or a function of that module
            name = name.rpartition(".")[0]
        if name and name != module:
            yield name


def test_no_two_files_need_each_other():
    graphlib.TopologicalSorter({module: set(imported_by(module)) for module in MODULES}).prepare()


def test_the_map_in_contributing_is_what_the_code_gives():
    page = (ROOT / "CONTRIBUTING.md").read_text()
    (shown,) = re.findall(r"```mermaid\n(.*?)\n```", page, re.S)
    assert shown == drawn(), "`python -m tests.house` prints the map anew"


def test_every_room_is_in_one_part_of_the_house():
    rooms = [room for part in PARTS.values() for room in part]
    assert sorted([*rooms, "tinyres_kernels", "version", "starting", "__main__"]) == sorted(LEVEL)
    assert len(rooms) == len(set(rooms))
    assert {path.stem for path in (ROOT / "tinyres").iterdir() if path.suffix == ".py"} - LEVEL.keys() == {"__init__"}


@pytest.mark.parametrize("name", ["README.md", "tinyres/__init__.py"])
def test_the_three_parts_are_told_as_they_are(name):
    text = (ROOT / name).read_text()
    for part, rooms in PARTS.items():
        assert re.search(rf"{part} +{' '.join(rooms)}: ", text)
    assert f"some {round(lines_of('core'), -3):,} lines" in text


WRITES = {"write_text", "write_bytes", "savefig", "copyfile", "copy2"}


def test_files_are_written_whole_or_not_at_all():
    """By `tinyres.files`: a full disk or a kill must not leave half a file where a whole one was."""
    written = []
    for path in SOURCES:
        if path != ROOT / "tinyres" / "files.py":
            calls = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)]
            written += [
                f"{path}:{c.lineno}" for c in calls if isinstance(c.func, ast.Attribute) and c.func.attr in WRITES
            ]
    assert written == []


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


def test_what_ci_runs_beside_other_steps_is_waited_for_and_may_fail(tmp_path):
    """Each by its name; and a step that fails ends the script, is read, and leaves nothing behind."""
    script = (ROOT / ".ci" / "run").read_text()
    begun, ended = (re.findall(rf"^{word} (\w+)", script, re.M) for word in ("beside", "ended"))
    assert begun == ended != []
    helpers = re.findall(r"^(?:set|beside\(\)|ended\(\)|trap) .*", script, re.M)
    steps = "mkdir out", "beside good echo fine", "beside bad bash -c 'echo oh; exit 3'", "beside long sleep 100"
    text = "\n".join([*helpers, *steps, "ended good", "echo next", "ended bad", "echo never"])
    ran = subprocess.run(["bash", "-c", text], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout) == (3, "--- good:\nfine\nnext\n--- bad:\noh\n")
