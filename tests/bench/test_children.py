"""A checkout that is not installed: its command, and what its processes start, find the packages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tinyres.bench import children

ROOT = Path(__file__).parents[2]
LOOK = "import tinyres, tinyres_kernels; print(tinyres.__file__, tinyres_kernels.__file__)"


def test_a_child_in_another_folder_finds_what_this_process_found(tmp_path, monkeypatch):
    """Without site-packages, where an installed copy would hide that the path was lost."""
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    monkeypatch.setenv("PYTHONPATH", ".:kernels")
    command = [sys.executable, "-S", "-c", LOOK]
    ran = subprocess.run(command, cwd=tmp_path, env=children.environment(), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert Path(ran.stdout.split()[0]) == ROOT / "tinyres" / "__init__.py"


def test_the_current_folder_is_named(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", "kernels", "/there"])
    found = children.environment(WORD="1")
    assert found["PYTHONPATH"].split(os.pathsep) == [str(tmp_path), str(tmp_path / "kernels"), "/there"]
    assert found["WORD"] == "1"


@pytest.mark.parametrize("module", ["tinyres", "tinyres.cli"])
def test_python_m_runs_the_command(module):
    ran = subprocess.run(
        [sys.executable, "-m", module, "--version"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": os.pathsep.join([".", "kernels"])},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout[:8]) == (0, "tinyres "), ran.stderr
