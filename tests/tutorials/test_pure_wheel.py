"""The wheel needs NumPy and nothing that is compiled for a platform, so that it can run in a browser's Python."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ALONE = """
import sys
from importlib.machinery import PathFinder

sys.path.insert(0, sys.argv[1])
THERE = {*sys.stdlib_module_names, "tinyres", "tinyres_kernels", "numpy", "threadpoolctl"}


class Alone(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return PathFinder.find_spec(name, path, target) if name.partition(".")[0] in THERE else None


sys.meta_path = [Alone if finder is PathFinder else finder for finder in sys.meta_path]
for name in ("numba", "cupy", "scipy", "matplotlib"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    sys.exit(f"{name} is not hidden")
"""
COMPUTE = """
import numpy as np

import tinyres as tr
from tinyres import flow, models

model = models.resnet(8, width=4, in_channels=1, rng=0).to("float64")
images = tr.tensor(np.random.default_rng(0).standard_normal((4, 1, 8, 8)))
with flow.record(model) as recording:
    loss = tr.cross_entropy(model(images), np.array([3, 1, 4, 1]))
    loss.backward()
print(tr.__file__)
print(repr(loss.item()), repr(sum(float((p.grad.numpy() ** 2).sum()) for p in model.parameters())))
x = tr.tensor(np.linspace(-1, 1, 4), requires_grad=True)
print(tr.gradcheck(tr.tanh, x, order=2))
"""
TUTORIALS = """
from tinyres.cli import main

sys.exit(main(["tutorials"]) or main(["tutorials", "copy", sys.argv[2]]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder into which a fresh wheel was unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def python(code, *arguments, cwd):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.slow
def test_it_imports_and_computes_with_numpy_alone(installed, tmp_path):
    where, figures, *checked = python(ALONE + COMPUTE, installed, cwd=tmp_path).splitlines()
    assert where == str(installed / "tinyres" / "__init__.py")
    assert checked[0] == "gradcheck passed"
    _, expected, *_ = python(COMPUTE, cwd=ROOT).splitlines()
    assert [float(f) for f in figures.split()] == pytest.approx([float(e) for e in expected.split()], rel=1e-9)


def test_the_tutorials_come_with_it_and_can_be_copied(installed, tmp_path):
    out = python(ALONE + TUTORIALS, installed, tmp_path / "mine", cwd=tmp_path)
    assert str(installed / "tinyres" / "tutorials") in out
    shipped = sorted(path.name for path in (ROOT / "tutorials").glob("[0-9][0-9]_*.py"))
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == shipped
