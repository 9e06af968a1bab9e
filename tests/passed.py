"""What passed before is not run again until something changes that it could depend on, as `go test` does it.

This holds for a run of the whole suite. Whoever names a file, a test or a keyword has it run, and so has `.ci/run`.
`pytest --cache-clear` forgets what passed. A test of a file that starts processes or threads, or looks at a clock, may
end in another way tomorrow: it is run each time.
"""

import hashlib
import os
import platform
import re
import sys
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HERE = "tests/passed"  # in pytest's cache
SETTINGS = "NUMBA_", "TINYRES_", "OMP_", "GOMP_", "OPENBLAS_", "MKL_", "CUDA", "PYTHON", "HYPOTHESIS_", "MPL", "LANG"
CHANCE = "subprocess", "Popen", "Thread", "Process", "asyncio", "socket", "sleep", "perf_counter", "monotonic", "ranks"
BY_CHANCE = re.compile(rf"\b({'|'.join(CHANCE)})\b")
PAGES = "README", "CHANGELOG", "CONTRIBUTING", "pyproject", "tutorials"
BEYOND = re.compile("|".join((r"\btinyres\b", r"\btests\.(?!kernels\b)\w+\.", r"\.ci\b", r"\.github", *PAGES)))


def files(folder):
    """All files below a folder but those that .gitignore names."""
    listed = (ROOT / ".gitignore").read_text().split() if (ROOT / ".gitignore").exists() else []

    def ignored(where, name):
        path = f"/{Path(where, name).relative_to(ROOT).as_posix()}"
        return name in (".git", "__pycache__") or any(fnmatch(path if "/" in one else name, one) for one in patterns)

    patterns = [line.rstrip("/") for line in listed]
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not ignored(where, name)]
        yield from (Path(where, name) for name in names if not ignored(where, name))


def digest(paths, more=""):
    found = hashlib.sha256(more.encode())
    for path in sorted(paths):
        found.update(f"\n{path.relative_to(ROOT).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}".encode())
    return found.hexdigest()


def surroundings(config):
    """What else a result depends on: the machine, Python, every package, settings, and pytest's options."""
    from llvmlite import binding

    packages = sorted(
        entry.name for folder in map(Path, sys.path) if folder.is_dir() for entry in folder.glob("*.dist-info")
    )
    settings = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith(SETTINGS))
    options = config.option.plugins, config.option.override_ini, config.option.pythonwarnings
    machine = platform.platform(), os.cpu_count(), binding.get_host_cpu_name(), sorted(binding.get_host_cpu_features())
    return repr((sys.version, machine, packages, settings, options))


def keys(config):
    """The key of each test file: a hash of all that its results may depend on. Files without one are run each time.

    That is everything here; of a test of the kernels that mentions nothing outside them, the kernels and their tests.
    """
    around = surroundings(config)
    everything = digest(files(ROOT), around)
    of_kernels = [*files(ROOT / "kernels"), *files(ROOT / "tests" / "kernels"), *(ROOT / "tests").glob("*.py")]
    kernels = digest([*of_kernels, ROOT / "pyproject.toml"], around)
    found = {}
    for path in files(ROOT / "tests"):
        text = path.read_text(encoding="utf-8") if path.match("test_*.py") else "subprocess"
        if not BY_CHANCE.search(text):
            name = path.relative_to(ROOT).as_posix()
            inside = name.startswith("tests/kernels/") and not BEYOND.search(text)
            found[name] = kernels if inside else everything
    return found


class Passed:
    """Leaves out what passed before, and notes what passes now. It is pytest's plugin in a run of the whole suite."""

    def __init__(self, config):
        self.config, self.worker = config, getattr(config, "workerinput", None)
        self.left_out, self.phases, self.bad = 0, Counter(), set()
        if self.worker is None:
            self.keys = keys(config)
            before = config.cache.get(HERE, {})
            self.before = {file: tests for file, (key, tests) in before.items() if key == self.keys.get(file)}
        else:  # all workers have to collect the same
            self.before = self.worker["passed"]

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node):
        node.workerinput["passed"] = self.before

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        before = {f"{file}::{test}" for file, tests in self.before.items() for test in tests}
        out = [item for item in items if item.nodeid in before]
        if out:
            items[:] = [item for item in items if item.nodeid not in before]
            self.config.hook.pytest_deselected(items=out)
        self.left_out = len(out)
        if self.worker is not None:
            self.config.workeroutput["left out"] = len(out)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node):
        self.left_out = getattr(node, "workeroutput", {}).get("left out", self.left_out)

    def pytest_runtest_logreport(self, report):
        self.phases[report.nodeid] += 1
        if report.outcome != "passed":
            self.bad.add(report.nodeid)

    def pytest_sessionfinish(self):
        if self.worker is not None or self.keys != keys(self.config):  # somebody wrote a file meanwhile
            return
        found = {file: set(tests) for file, tests in self.before.items()}
        for test, phases in self.phases.items():  # three, unless a worker crashed, or Ctrl-C came
            file, _, name = test.partition("::")
            if phases == 3 and test not in self.bad and file in self.keys:
                found.setdefault(file, set()).add(name)
        kept = {file: (self.keys[file], sorted(tests)) for file, tests in sorted(found.items())}
        self.config.cache.set(HERE, kept)

    def pytest_terminal_summary(self, terminalreporter):
        if self.left_out:
            terminalreporter.write_line(
                f"{self.left_out} tests passed before, and nothing has changed that they could depend on: "
                "they were not run again (--cache-clear runs all)"
            )


def counts(config):
    """Whether what passed counts: if the suite was asked for, no part of it by its name, and no results to be shown."""
    if hasattr(config, "workerinput"):
        return "passed" in config.workerinput
    named = config.args_source != config.ArgsSource.TESTPATHS or config.option.keyword or config.option.collectonly
    return hasattr(config, "cache") and not named and "TINYRES_RESULTS" not in os.environ
