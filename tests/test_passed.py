"""What passed before is left out until something changes that it could depend on, and never otherwise."""

from textwrap import dedent
from types import SimpleNamespace

import pytest

from tests import passed
from tests.each import for_each

pytest_plugins = ["pytester"]

# Names that no file of the real suite has: its modules may be loaded in this process.
FILES = {
    "pyproject.toml": """
        [tool.pytest.ini_options]
        testpaths = ["tests"]
        addopts = "--import-mode=importlib"
    """,
    ".gitignore": ".pytest_cache/\nout/\n/site/\n*.log",
    "README.md": "",
    "tinyres/tensor.py": "A = 1",
    "kernels/tinyres_kernels/conv.py": "B = 1",
    "tests/helper.py": "C = 1",
    "tests/kernels/case.json": "1",
    "tests/kernels/test_a_conv.py": """
        def test_right(): pass
        def test_wrong(): assert False
    """,
    "tests/kernels/test_a_readme.py": "def test_it_names(): 'README.md'",
    "tests/nn/test_few_layers.py": """
        import pytest
        def test_right(): pass
        def test_skips(): pytest.skip("no GPU")
        @pytest.mark.xfail
        def test_fails(): assert False
        @pytest.fixture
        def bad():
            yield
            assert False
        def test_with_a_bad_end(bad): pass
    """,
    "tests/nn/test_a_server.py": "import subprocess\ndef test_right(): pass",
}
CONV, PAGE = "tests/kernels/test_a_conv.py::test_right", "tests/kernels/test_a_readme.py::test_it_names"
LAYER = "tests/nn/test_few_layers.py::test_right"
EACH_TIME = {
    "tests/kernels/test_a_conv.py::test_wrong", "tests/nn/test_a_server.py::test_right",
    *(f"tests/nn/test_few_layers.py::test_{name}" for name in ("skips", "fails", "with_a_bad_end")),
}  # fmt: skip


# These two ask the collector about all objects as a run ends: a second each, with the suite's two million.
QUICK = "-p", "no:hypothesispytest", "-p", "no:unraisableexception"


class Registers:
    """As the suite's conftest.py."""

    @staticmethod
    def pytest_configure(config):
        if passed.counts(config):
            config.pluginmanager.register(passed.Passed(config))


@pytest.fixture
def suite(pytester, monkeypatch):
    """suite(*arguments): the tests that a run of this small suite looks at."""
    monkeypatch.setattr(passed, "ROOT", pytester.path)
    monkeypatch.delenv("TINYRES_RESULTS", raising=False)
    for name, text in FILES.items():
        write(pytester.path / name, text)

    def run(*arguments):
        ended = pytester.inline_run(*QUICK, *arguments, plugins=[Registers], no_reraise_ctrlc=True)
        return {report.nodeid for report in ended.getreports("pytest_runtest_logreport")}

    return run


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text))


def test_what_passed_is_left_out_and_all_else_is_run_again(suite, pytester):
    assert suite() == {CONV, PAGE, LAYER, *EACH_TIME}
    assert suite() == EACH_TIME
    assert LAYER in suite(LAYER)
    assert suite("-W", "ignore::UserWarning") > EACH_TIME
    assert suite("--cache-clear") == {CONV, PAGE, LAYER, *EACH_TIME}


def test_it_counts_for_the_whole_suite_alone(suite, pytester, monkeypatch):
    def counts(*arguments):
        return passed.counts(pytester.parseconfigure(*QUICK, *arguments))

    assert counts()
    assert counts("-m", "slow")
    named = LAYER, "tests/nn/test_few_layers.py", "tests/nn", "tests"
    asked = [(name,) for name in named] + [("-k", "right"), ("--collect-only",), ("-p", "no:cacheprovider")]
    assert not any(counts(*arguments) for arguments in asked)
    monkeypatch.setenv("TINYRES_RESULTS", "out")
    assert not counts()


def test_what_was_written_during_the_run_has_not_passed(suite, pytester):
    text = "from pathlib import Path\ndef test_it(): Path('README.md').write_text('new')"
    write(pytester.path / "tests" / "nn" / "test_writer.py", text)
    suite()
    assert {CONV, PAGE, LAYER} <= suite()


def test_what_was_cut_short_has_not_passed(suite, pytester):
    """By Ctrl-C, or by a worker's crash: there is no report of the phase in which it came, and the others passed."""
    text = """
        import pytest
        @pytest.fixture
        def ends():
            yield
            raise KeyboardInterrupt
        def test_it(ends): pass
    """
    write(pytester.path / "tests" / "nn" / "test_last_of_all.py", text)
    cut_short = "tests/nn/test_last_of_all.py::test_it"
    assert {LAYER, cut_short} <= suite()
    again = suite()
    assert LAYER not in again
    assert cut_short in again


@pytest.fixture
def keys(suite):
    """keys(): of each test file of the small suite."""
    options = SimpleNamespace(plugins=[], override_ini=[], pythonwarnings=[])
    return lambda: passed.keys(SimpleNamespace(option=options))


@for_each(
    "case",
    [
        ("tinyres/tensor.py", {PAGE, LAYER}),
        ("tinyres/new.py", {PAGE, LAYER}),
        ("README.md", {PAGE, LAYER}),
        ("tests/nn/test_few_layers.py", {PAGE, LAYER}),
        ("tests/nn/weights.npz", {PAGE, LAYER}),
        ("kernels/tinyres_kernels/conv.py", {CONV, PAGE, LAYER}),
        ("kernels/tinyres_kernels/site/new.cu", {CONV, PAGE, LAYER}),
        ("tests/kernels/case.json", {CONV, PAGE, LAYER}),
        ("tests/helper.py", {CONV, PAGE, LAYER}),
        ("pyproject.toml", {CONV, PAGE, LAYER}),
        ("pytest.log", set()),
        ("site/page.py", set()),
        ("tinyres/out/curve.png", set()),
        (".git/HEAD", set()),
    ],
)
def test_a_change_makes_another_key_of_what_could_depend_on_it(keys, pytester, case):
    changed, again = case
    before = keys()
    assert set(before) == {test.partition("::")[0] for test in (CONV, PAGE, LAYER)}
    path = pytester.path / changed
    write(path, (path.read_text() if path.exists() else "") + "\n# changed")
    after = keys()
    assert {file for file in after if before[file] != after[file]} == {test.partition("::")[0] for test in again}


def test_so_does_another_machine_setting_or_package(keys, pytester, monkeypatch):
    def others():
        return all(before[file] != key for file, key in keys().items())

    before = keys()
    with monkeypatch.context() as patched:
        patched.setenv("NUMBA_NUM_THREADS", "7")
        assert others()
    with monkeypatch.context() as patched:
        patched.setattr("os.cpu_count", lambda: 77)
        assert others()
    assert keys() == before
    write(pytester.path / "packages" / "numpy-9.9.dist-info" / "METADATA", "")
    monkeypatch.syspath_prepend(pytester.path / "packages")
    assert others()
