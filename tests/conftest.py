"""What holds for the whole suite."""

import gc
import os
import shutil
import signal
import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis.internal.conjecture import providers

from tests import passed
from tests.sketches import only_sketch
from tests.tabs import Tabs

HERE = Path(__file__).parent

# Several test processes share the cores: an idle thread that spins for long would hold up the others.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

# So would those of BLAS, which spin for longer than the small products of most tests take: two workers with two threads
# each on two cores spent half of the suite's time in that. Our own kernels keep their threads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Workers compile what they need, and share it; one more process would only take a core from them.
os.environ.setdefault("TINYRES_COMPILE_AHEAD", "0")

# Kernels go by their limits: what a trial found on a busy machine would be another run's surprise.
os.environ.setdefault("TINYRES_TRIALS", "0")

# Hypothesis keeps what it finds in one place, wherever the process that a test starts may stand.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(HERE.parent / ".hypothesis"))

# It would also draw large numbers that stand in our sources, and read 500 files for that, five seconds in each worker:
# what a test draws would then depend on what other tests have imported.
if hasattr(providers, "_get_local_constants"):  # not in each release
    providers._get_local_constants = lambda: providers._local_constants

# Python looks for garbage each 700 objects, which takes up to a tenth of the time of code that makes many small ones.
gc.set_threshold(50_000, 20, 20)

# A suite that runs in the background may have been told to ignore Ctrl-C, and what it starts would ignore it, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config):
    """Where no bytecode may lie beside the sources, it lies in pytest's own folder: else the assertions of all tests
    are rewritten anew each time, ten seconds. Processes that tests start keep theirs there, too. They may be killed at
    any time, since Python puts each file in place at once; and if they only read, each of them would compile again
    what no test imports, which takes half a second: Python itself, for a start, as it looks nowhere else.
    """
    if sys.dont_write_bytecode and hasattr(config, "cache"):
        sys.dont_write_bytecode = False
        sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = str(config.cache.mkdir("bytecode"))
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if passed.counts(config):
        config.pluginmanager.register(passed.Passed(config))
    if int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 2:
        config.pluginmanager.register(Backwards.Everywhere)


# What takes longest comes first: a worker that began with it last would keep the others waiting. Tests that start other
# processes come behind those of the kernels, which leave compiled code for them.
LONGEST = ("kernels/cuda", "kernels/plans", "kernels/", "models/float32", "training/", "tutorials/", "viewer/")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """Workers of pytest-xdist, where there are any, take tests from each other when they have none left."""
    if getattr(config.option, "numprocesses", None) and config.option.dist == "no":
        config.option.dist = "worksteal"


# Of what .ci/run asks for besides the README's command: the words without which a file has no such test.
WORDS = {"(slow or browser) and not parity": ("slow", "browser"), "parity": ("parity",)}


def pytest_ignore_collect(collection_path, config):
    """Files are not collected where all of their tests would be deselected, since that takes ten seconds of each
    worker, and PyTorch alone takes some to load. A file that is asked for by its name is.
    """
    name, marks = collection_path.name, config.option.markexpr
    if any(argument.partition("::")[0].endswith(name) for argument in config.args):
        return None
    if marks in WORDS and name.startswith("test_") and collection_path.is_file():
        return None if mentioned(collection_path, WORDS[marks]) else True
    return True if name.endswith(("_parity.py", "test_porting.py")) and "not parity" in marks else None


@cache
def mentioned(path, words):
    """Whether a file mentions one of these words."""
    text = path.read_text(encoding="utf-8")
    return any(word in text for word in words)


class Backwards(pytest.Dir):
    """A folder whose files are collected from the last to the first.

    Where nothing was collected before, the assertions of each file are rewritten, which takes ten seconds. Of workers
    that begin at either end each does half of it, and reads the rest, which the other has written.
    """

    def collect(self):
        return reversed(list(super().collect()))

    class Everywhere:
        """The plugin. (A conftest.py is not asked about its own folder.)"""

        @staticmethod
        def pytest_collect_directory(path, parent):
            return Backwards.from_parent(parent, path=path)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """The order in which tests run."""
    for item in items:
        for words in WORDS.values():
            if any(item.get_closest_marker(word) for word in words) and not mentioned(item.path, words):
                raise pytest.UsageError(f"{item.path} mentions neither of {words}: .ci/run would miss {item.nodeid}")

    @cache  # tests of a file share its path
    def place(path):
        inside = path.relative_to(HERE).as_posix() if path.is_relative_to(HERE) else ""
        return next((i for i, start in enumerate(LONGEST) if inside.startswith(start)), len(LONGEST)), str(path)

    items.sort(key=lambda item: place(item.path))  # and then by name, in whichever order they were collected


def pytest_collection_finish():
    """What was collected, two million objects, lives as long as the run: no collection of garbage looks at it again.

    Hypothesis has been imported by now. Its plugin does so at the end of each run at the latest, and it then asks the
    collector who refers to an object of another package (trio), of which it warns if nobody does.
    """
    gc.collect()
    gc.freeze()


def pytest_make_parametrize_id(config, val, argname):
    """Bytes are named by their length: a compressed file may hold the time at which it was made.

    Workers that collect a moment apart would otherwise see different tests, and pytest-xdist would refuse to run any.
    """
    return f"{argname}-{len(val)}-bytes" if isinstance(val, bytes) else None


@pytest.fixture
def sketched(monkeypatch):
    """Figures are composed, but a sketch stands for them in the file."""
    only_sketch(monkeypatch.setattr)


BROWSERS = ["chromium", "chromium-browser", "google-chrome"]


@pytest.fixture(scope="session")
def browser():
    """Chromium, started once for the tests of every page: a process can start it once only."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the page was not tested: pip install playwright")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("the page was not tested: there is no browser; apt-get install chromium")
    arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=found, args=arguments)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def tabs(browser):
    return Tabs(browser)
