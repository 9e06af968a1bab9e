"""A kept result is used as long as it is of the same sources and packages, and in no other case."""

import json

import pytest

from tests.kernels.cuda import once


@pytest.fixture
def sources(tmp_path):
    folder = tmp_path / "sources"
    (folder / "inner").mkdir(parents=True)
    (folder / "kernel.py").write_text("a = 1\n")
    (folder / "inner" / "tile.cu").write_text("int a;\n")
    return folder


class Find:
    """What takes minutes; it counts how often it was asked."""

    def __init__(self, text="found\n"):
        self.text, self.asked = text, 0

    def __call__(self):
        self.asked += 1
        return self.text


def test_the_second_time_it_is_read(tmp_path, sources):
    find = Find("one\nänd two\n")
    for _ in range(2):
        assert once.kept(tmp_path / "new", "name", once.stamp(sources), find) == find.text
    assert find.asked == 1


def changed(file, text):
    return lambda folder, patch: (folder / file).write_text(text)


def release(packages):
    return lambda folder, patch: patch.setattr(once, "distributions", lambda: packages)


class Package:
    def __init__(self, name, version):
        self.metadata, self.version = {"Name": name}, version


CHANGES = {
    "a source": changed("kernel.py", "a = 2\n"),
    "a source in a folder": changed("inner/tile.cu", "int b;\n"),
    "a new source": changed("inner/more.py", ""),
    "a source that is gone": lambda folder, patch: (folder / "kernel.py").unlink(),
    "another name": lambda folder, patch: (folder / "kernel.py").rename(folder / "kernels.py"),
    "numba-cuda": release([Package("numba-cuda", "0.0.1")]),
    "python": lambda folder, patch: patch.setattr(once.platform, "python_version", lambda: "3.99.0"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_has_changed_is_found_anew(tmp_path, sources, change, monkeypatch):
    find = Find()
    once.kept(tmp_path, "name", once.stamp(sources), find)
    CHANGES[change](sources, monkeypatch)
    find.text = "found anew\n"
    for _ in range(2):
        assert once.kept(tmp_path, "name", once.stamp(sources), find) == "found anew\n"
    assert find.asked == 2


def test_each_source_of_the_kernels_and_their_programs_counts():
    counted = {path.name for folder in once.SOURCES for path in folder.rglob("*")}
    assert {"conv_tiled.py", "convolution.cu", "examine.py", "geometry.py", "compiled.py", "simulated.py"} < counted
    assert "simulated_cases.py" in counted


def test_only_the_packages_that_run_them_count(sources, monkeypatch):
    stamps = []
    for version, other in [("1", "1"), ("1", "2"), ("2", "2")]:
        packages = [Package("numpy", version), Package("pytest", other)]
        monkeypatch.setattr(once, "distributions", lambda packages=packages: packages)
        stamps.append(once.stamp(sources))
    assert stamps[0] == stamps[1] != stamps[2]


@pytest.mark.parametrize("bad", [lambda b: b[:-1], lambda b: b"", lambda b: b"\xff" + b, lambda b: b + b"x"])
def test_a_damaged_file_counts_for_nothing(tmp_path, sources, bad):
    find = Find()
    once.kept(tmp_path, "name", once.stamp(sources), find)
    (file,) = tmp_path.glob("*.kept")
    file.write_bytes(bad(file.read_bytes()))
    assert once.kept(tmp_path, "name", once.stamp(sources), find) == find.text
    assert find.asked == 2


def test_a_folder_that_cannot_be_written_to_is_no_hindrance(tmp_path, sources):
    (tmp_path / "file").touch()
    assert once.kept(tmp_path / "file", "name", once.stamp(sources), Find()) == "found\n"


def test_an_error_is_not_kept(tmp_path, sources):
    def fail():
        raise AssertionError("no compiler")

    with pytest.raises(AssertionError, match="no compiler"):
        once.kept(tmp_path, "name", once.stamp(sources), fail)
    assert not list(tmp_path.glob("*.kept"))


class Basetemp:
    def __init__(self, folder):
        self.folder = folder

    def getbasetemp(self):
        self.folder.mkdir(exist_ok=True)
        return self.folder


@pytest.mark.parametrize(("faults", "runs"), [pytest.param([], 1, marks=pytest.mark.slow), (["wrong by 1"], 2)])
@pytest.mark.slow
def test_what_a_check_finds_wrong_is_looked_at_again_in_the_next_run(tmp_path, monkeypatch, faults, runs):
    """Within a run it stands: each of the tests that ask reads the same."""
    monkeypatch.setattr(once.config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    program = 'import json\nwith open("{0}", "a") as log: log.write("x")\nprint(json.dumps(["a check", {1}]))\n'
    log = tmp_path / "log"
    (tmp_path / "program.py").write_text(program.format(log, json.dumps(faults)))
    for run in ("first", "second"):
        for _ in range(2):
            assert once.simulated(Basetemp(tmp_path / run), "program", folder=tmp_path) == {"a check": faults}
    assert log.read_text() == "x" * runs
