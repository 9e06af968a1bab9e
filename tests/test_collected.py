"""In which order files are collected, and tests run."""

from pathlib import Path

pytest_plugins = ["pytester"]

NAMES = [
    "a/test_first_of_four.py",
    "kernels/test_second_of_four.py",
    "test_third_of_four.py",
    "z/test_fourth_of_four.py",
]


def test_workers_collect_from_either_end_and_run_the_same_in_the_same_order(pytester, monkeypatch):
    pytester.makeconftest((Path(__file__).parent / "conftest.py").read_text(encoding="utf-8"))
    for name in NAMES:
        (pytester.path / name).parent.mkdir(exist_ok=True)
        (pytester.path / name).write_text(
            f"with open('collected', 'a') as file: file.write('{name} ')\ndef test_b(): pass\ndef test_a(): pass\n"
        )
    collected, run = {}, {}
    for worker in ("gw0", "gw1"):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
        recorded = pytester.inline_run("--import-mode=importlib", "--collect-only", str(pytester.path))
        run[worker] = [item.nodeid for item in recorded.getcall("pytest_collection_finish").session.items]
        collected[worker] = (pytester.path / "collected").read_text().split()
        (pytester.path / "collected").unlink()
    assert collected == {"gw0": NAMES, "gw1": NAMES[::-1]}
    assert run["gw0"] == run["gw1"]
    first = [f"{name}::test_{letter}" for name in (NAMES[1], NAMES[0]) for letter in "ba"]
    assert run["gw0"][:4] == first, "kernels come first; within a file, as it is written"
