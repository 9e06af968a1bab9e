"""A class's folder: everybody gets a row, whatever is in the file, and one file harms nobody else's."""

import csv
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tinyres_kernels import __main__ as command
from tinyres_kernels.conformance import students

RIGHT = "from tinyres_kernels import im2col\n\n\ndef relu(x, out, s):\n    im2col.relu(x, out, s)\n"
FILES = {
    "ann.py": RIGHT,
    "ben.py": "import numpy as np\n\n\ndef mine(x, out, s):\n    out[...] = np.maximum(x, 0)\n",
    "two.py": "def a(x, out, s): ...\ndef b(x, out, s): ...\n",
    "none.py": "x = 1\ndef helper(x): ...\n",
    "empty.py": "# nothing yet\n",
    "broken.py": "\ndef relu(:\n",
    "bytes.py": "\0",
    "nora.ipynb": "{}",
    "zoe/homework.py": RIGHT,
    "_shared.py": RIGHT,
}


@pytest.fixture
def room(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        file = Path("room", name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return Path("room")


def test_everybody_is_found_by_file_or_by_folder(room):
    names = ["ann", "ben", "broken", "bytes", "empty", "none", "nora", "two", "zoe"]
    assert [name for name, _ in students.students(room)] == names


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("two.py", "two.py has 2 functions that fit, a and b: one must be called relu"),
        ("none.py", "none.py has no function relu, and none of 3 arguments: it has x, helper"),
        ("empty.py", "empty.py is empty"),
        ("broken.py", "broken.py is not Python: invalid syntax (line 2)"),
        ("nora.ipynb", "nora.ipynb is a notebook: `jupyter nbconvert --to script nora.ipynb` makes a .py file of it"),
        ("bytes.py", "bytes.py is not Python: source code string cannot contain null bytes"),
    ],
)
def test_a_file_without_a_kernel_is_told_why(room, file, told):
    with pytest.raises(ValueError) as error:
        students.named(room / file, "relu")
    assert str(error.value) == told


def test_a_file_is_read_in_the_encoding_that_python_reads_it_in(room):
    file = room / "ann.py"
    file.write_bytes(b"# J\xfcrgen\n" + RIGHT.encode())
    with pytest.raises(ValueError, match=r"ann\.py is not Python"):
        students.named(file, "relu")
    file.write_bytes(b"# -*- coding: latin-1 -*-\n# J\xfcrgen\n" + RIGHT.encode())
    assert students.named(file, "relu") == "relu"


def test_the_kernel_of_a_file_is_found_without_running_it(room):
    assert students.named(room / "ann.py", "relu") == "relu"
    assert students.named(room / "ben.py", "relu") == "mine"


def test_the_files_have_a_row_for_everybody(room, monkeypatch, capsys):
    """What one check says is as it is elsewhere: here it is written down."""

    def told(place, given):
        if place.endswith("ann.py:relu"):
            return {"verdict": "right", "passed": 9, "cases": 9, "kinds": "", "note": "", "report": {}}, suite()
        if place.endswith("ben.py:mine"):
            kinds = "=1+1: gives wrong numbers"
            return {"verdict": "wrong", "passed": 5, "cases": 9, "kinds": kinds, "note": "", "report": {}}, suite()
        raise ValueError("it was stopped after 2 s in all (--each)")

    def suite():
        return ElementTree.Element("testsuite", name="relu", tests="9")

    monkeypatch.setattr(students, "_checked", told)
    files = {name: Path(f"marks.{name}") for name in ("csv", "json", "junit")}
    arguments = ["check", str(room), "--op", "relu", *(f"--{name}={file}" for name, file in files.items())]
    assert command.main(arguments) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == [
        "ann: right (9 of 9 cases)",
        "ben: wrong (5 of 9 cases): =1+1: gives wrong numbers",
    ]
    assert said[-1] == "1 of 9 right, as relu"
    rows = {row["student"]: row for row in csv.DictReader(files["csv"].read_text().splitlines())}
    assert list(rows) == ["ann", "ben", "broken", "bytes", "empty", "none", "nora", "two", "zoe"]
    assert (rows["ben"]["function"], rows["ben"]["passed"]) == ("mine", "5")
    assert rows["ben"]["kinds"] == "'=1+1: gives wrong numbers", "no cell is a formula"
    assert rows["empty"]["verdict"] == "could not be checked"
    assert rows["zoe"]["note"] == "it was stopped after 2 s in all (--each)"
    assert [one["student"] for one in json.loads(files["json"].read_text())["students"]] == list(rows)
    suites = ElementTree.parse(files["junit"]).getroot()
    assert [one.get("name").partition(":")[0] for one in suites] == list(rows)
    assert sum(one.find("testcase/error") is not None for one in suites) == 7


def test_a_table_is_of_a_folder(tmp_path, capsys):
    with pytest.raises(SystemExit):
        command.main(["check", "mine:relu", "--op", "relu", "--csv", str(tmp_path / "a.csv")])
    assert "--csv is for a folder" in capsys.readouterr().err
    assert command.main(["check", str(tmp_path), "--op", "relu"]) == 2
    assert "holds no student: needed are FOLDER/name.py or FOLDER/name/file.py" in capsys.readouterr().err


@pytest.mark.slow
def test_a_file_that_hangs_or_ends_its_process_keeps_nobody_else_from_being_checked(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    bodies = {
        "ann": RIGHT,
        "asks": "relu = input('name')\n",
        "ends": "import os\n\nos._exit(4)\n\n\ndef relu(x, out, s): ...\n",
        "hangs": "def relu(x, out, s):\n    while True:\n        pass\n",
        "huge": "import numpy as np\n\n\ndef relu(x, out, s):\n    np.ones(30 << 27)\n",
    }
    for name, body in bodies.items():
        Path(f"{name}.py").write_text(body)
    arguments = ["--op", "relu", "--examples", "0", "--dtype", "float64", "--limit", "2", "--csv", "marks.csv"]
    assert command.main(["check", ".", *arguments]) == 1
    rows = {row["student"]: row for row in csv.DictReader(Path("marks.csv").read_text().splitlines())}
    verdicts = {name: row["verdict"] for name, row in rows.items()}
    assert verdicts == {
        "ann": "right",
        "asks": "could not be checked",
        "ends": "could not be checked",
        "hangs": "too slow",
        "huge": "wrong",
    }
    assert "EOFError" in rows["asks"]["note"]
    assert "ended its process with status 4" in rows["ends"]["note"]
    assert "MemoryError" in rows["huge"]["note"]
