"""What `tr.exercise` writes if it is asked to, and what `tinyres tutorials results` makes of a class's files."""

import csv
import math
import subprocess
import sys

import pytest

import tinyres as tr
from tinyres.bench import children
from tinyres.cli import main
from tinyres.exercises import NotRight
from tinyres.exercises.results import NAME, Try, read, record, summaries


def right(a, p):
    return 2 * p / (1 + a * a)


def wrong(a, p):
    return 1.0


def broken(a, p):
    raise ZeroDivisionError


def run(capsys, *arguments):
    status = main(["tutorials", "results", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err


def student(folder, *tries):
    for number, verdict in tries:
        record(folder, number, verdict)
    return folder


def test_nothing_is_written_unless_asked_for(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TINYRES_EXERCISES", raising=False)
    tr.exercise("06", right)
    with pytest.raises(AssertionError):
        tr.exercise("06", wrong)
    monkeypatch.setenv("TINYRES_EXERCISES", "")
    tr.exercise("06", right)
    assert list(tmp_path.iterdir()) == []


def test_a_line_for_each_answer_and_never_the_answer(tmp_path):
    folder = tmp_path / "new" / "ada"
    for answer in (wrong, broken, 0.5):
        with pytest.raises((AssertionError, ZeroDivisionError)):
            tr.exercise("06", answer, results=folder)
    tr.exercise("6", right, results=str(folder), name="Ada, Countess\nof Lovelace")
    tries, foreign = read(folder)
    assert [(one.tutorial, one.right, one.name) for one in tries] == [
        *[("06", False, "")] * 3,
        ("06", True, "Ada, Countess of Lovelace"),
    ]
    assert not foreign
    assert (folder / NAME).read_text().splitlines()[0] == "tutorial,time,result,name"


def test_the_environment_names_the_folder_and_the_argument_comes_first(monkeypatch, tmp_path):
    monkeypatch.setenv("TINYRES_EXERCISES", str(tmp_path / "a"))
    tr.exercise("06", right)
    tr.exercise("06", right, results=tmp_path / "b")
    assert len(read(tmp_path / "a")[0]) == len(read(tmp_path / "b")[0]) == 1


def test_an_unknown_number_and_an_interrupt_leave_no_line(tmp_path):
    def interrupted(a, p):
        raise KeyboardInterrupt

    with pytest.raises(ValueError, match="no exercise '99'"):
        tr.exercise("99", right, results=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        tr.exercise("06", interrupted, results=tmp_path)
    assert not (tmp_path / NAME).exists()


def test_a_result_that_cannot_be_written_is_told_and_the_answer_still_checked(capsys, tmp_path):
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="was not written"):
        tr.exercise("06", right, results=tmp_path / "file")
    assert "Exercise 06 is right" in capsys.readouterr().out


def test_a_line_that_was_cut_off_costs_itself_alone(tmp_path):
    student(tmp_path, ("01", True))
    path = tmp_path / NAME
    path.write_text(path.read_text() + "02,2026-11-2")
    student(tmp_path, ("03", False))
    tries, foreign = read(tmp_path)
    assert [one.tutorial for one in tries] == ["01", "03"]
    assert foreign == [3]


def test_once_right_stays_right():
    tries = [Try("02", f"2026-11-29T10:0{k}:00", verdict) for k, verdict in enumerate((False, True, False))]
    (found,) = summaries("ada", [*tries[::-1]])  # files may have been put together in any order
    assert (found.tries, found.right) == (2, True)
    assert (found.first_try, found.first_right) == (tries[0].time, tries[1].time)
    (found,) = summaries("bob", tries[:1])
    assert (found.tries, found.right, found.first_right) == (1, False, "")


def test_a_class_in_one_table(capsys, tmp_path):
    ada = student(tmp_path / "ada", ("01", False), ("01", True), ("02", True))
    bob = student(tmp_path / "bob", ("02", False), ("02", False))
    out_file = tmp_path / "class.csv"
    status, out, err = run(capsys, ada, bob, "--csv", out_file)
    assert (status, err) == (0, "")
    assert [line.split() for line in out.splitlines()[:3]] == [
        ["student", "01", "02", "right"],
        ["ada", "2", "1", "2"],
        ["bob", "-", "(2)", "0"],
    ]
    with open(out_file, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["student"], row["tutorial"], row["result"], row["tries"]) for row in rows] == [
        ("ada", "01", "right", "2"),
        ("ada", "02", "right", "1"),
        ("bob", "01", "not tried", "0"),
        ("bob", "02", "wrong", "2"),
    ]


def test_what_is_no_file_of_results_is_named_and_skipped(capsys, tmp_path):
    ada = student(tmp_path / "ada", ("01", True))
    (tmp_path / "empty").mkdir()
    for name, content in (("foreign", b"a,b\n1,2\n"), ("binary", b"\xff\xfe\x00"), ("blank", b"")):
        (tmp_path / name).mkdir()
        (tmp_path / name / NAME).write_bytes(content)
    (tmp_path / "folder" / NAME).mkdir(parents=True)
    with open(ada / NAME, "a") as file:
        file.write('rubbish\n01,yesterday,right,\n01,2026-11-29T10:00:00,perhaps,\n"\n1,2,3,4,5\n')
    others = [tmp_path / name for name in ("empty", "foreign", "binary", "blank", "folder", "nowhere")]
    status, out, err = run(capsys, *others, ada)
    assert status == 0
    assert ["ada", "1", "1"] in [line.split() for line in out.splitlines()]
    for other in others:
        assert str(other) in err
    assert f"skipped lines 3, 4, 5, 6, 7 of {ada / NAME}" in err
    status, out, err = run(capsys, *others, "--csv", tmp_path / "none.csv")
    assert status == 0
    assert ["empty", "0"] in [line.split() for line in out.splitlines()]
    assert (tmp_path / "none.csv").read_text().startswith("student,name,tutorial")
    assert "none of 5 folders has results" in err
    assert run(capsys, tmp_path / "nowhere")[2].endswith(f"no such folder: {tmp_path / 'nowhere'}\n")


def test_a_class_s_folder_and_students_without_results(capsys, tmp_path):
    group = tmp_path / "class"
    student(group / "ada", ("01", True))
    student(group / "bob" / "tutorials", ("01", False))
    student(group / "bob" / "more", ("02", True))
    (group / "eve").mkdir()
    (group / ".cache").mkdir()
    status, out, err = run(capsys, group, "--csv", tmp_path / "class.csv")
    assert status == 0
    assert [line.split() for line in out.splitlines()[1:4]] == [
        ["ada", "1", "-", "1"], ["bob", "(1)", "1", "1"], ["eve", "-", "-", "0"],
    ]  # fmt: skip
    assert f"no results of eve: {group / 'eve'}: there is no {NAME} in it: nothing answered yet, or " in err
    with open(tmp_path / "class.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["student"], row["tutorial"]) for row in rows] == [
        (name, number) for name in ("ada", "bob", "eve") for number in ("01", "02")
    ]  # fmt: skip


def test_two_folders_of_one_name_stay_two_students(capsys, tmp_path):
    folders = [student(tmp_path / group / "ada", ("01", True)) for group in ("monday", "friday")]
    _, out, _ = run(capsys, *folders)
    assert [line.split()[0] for line in out.splitlines()[1:3]] == [str(folder) for folder in folders]


def test_a_spreadsheet_calculates_nothing_and_a_terminal_obeys_nothing(capsys, tmp_path):
    folder = student(tmp_path / "=1+1\x1b[31m", ("01", True))
    record(folder, "01", True, name="@SUM(A1)")
    _, out, _ = run(capsys, folder, "--csv", tmp_path / "class.csv")
    assert "\x1b" not in out
    text = (tmp_path / "class.csv").read_text()
    assert "'=1+1" in text
    assert "'@SUM" in text


def test_a_table_that_cannot_be_written_is_told(capsys, tmp_path):
    ada = student(tmp_path / "ada", ("01", True))
    (tmp_path / "file").write_text("")
    status, _, err = run(capsys, ada, "--csv", tmp_path / "file" / "class.csv")
    assert status == 2
    assert "is not a folder; choose another one with --csv" in err


def test_the_checkers_own_verdict_is_not_changed(tmp_path):
    with pytest.raises(AssertionError, match="Half of a ReLU's units"):
        tr.exercise("06", wrong, results=tmp_path)
    with pytest.raises(AssertionError, match="pass no gradient on"):
        tr.exercise("06", lambda a, p: math.nan, results=tmp_path)


@pytest.mark.slow
def test_a_script_ends_in_the_hint_without_a_traceback(tmp_path):
    script = tmp_path / "mine.py"
    for body, told in (
        ("return 1.0", "Exercise 06 is not right yet: "),
        ("return ...", "still returns `...`: put your answer in its place"),
    ):
        script.write_text(f"import tinyres as tr\ndef variance(a, p):\n    {body}\ntr.exercise('06', variance)\n")
        ended = subprocess.run([sys.executable, script], env=children.environment(), capture_output=True, text=True)
        assert ended.returncode == 1
        assert told in ended.stderr
        assert "Traceback" not in ended.stderr
    script.write_text("import tinyres as tr\ndef variance(a, p):\n    return 1 / 0\ntr.exercise('06', variance)\n")
    ended = subprocess.run([sys.executable, script], env=children.environment(), capture_output=True, text=True)
    assert "line 3, in variance" in ended.stderr, "a fault of one's own function is shown where it is"


def test_a_notebook_shows_the_hint_alone():
    with pytest.raises(NotRight) as caught:
        tr.exercise("06", wrong)
    assert caught.value._render_traceback_() == [str(caught.value)]  # what IPython prints


def test_an_assertion_of_one_s_own_keeps_its_traceback():
    def unsure(a, p):
        assert a < 0, "my own"

    with pytest.raises(AssertionError, match="my own") as caught:
        tr.exercise("06", unsure)
    assert not isinstance(caught.value, NotRight)


def test_a_file_saved_by_a_spreadsheet_a_name_and_an_archive(capsys, tmp_path):
    ada = student(tmp_path / "ada", ("01", True))
    written = (ada / NAME).read_text()
    for name, mark in (("semicolon", ";"), ("tab", "\t")):
        (tmp_path / name).mkdir()
        (tmp_path / name / NAME).write_bytes(b"\xef\xbb\xbf" + written.replace(",", mark).encode())
    record(tmp_path / "a7", "02", True, "Ada")
    (tmp_path / "eve.zip").write_bytes(b"PK")
    (tmp_path / "late").mkdir()
    status, out, err = run(capsys, tmp_path)
    assert status == 0
    lines = {tuple(line.split()) for line in out.splitlines()}
    assert {("semicolon", "1", "-", "1"), ("tab", "1", "-", "1"), ("a7", "(Ada)", "-", "1", "1")} <= {
        *map(tuple, lines)
    }
    assert "eve.zip: unpack it into a folder first" in err
    assert "nothing answered yet, or the tutorials were copied without --results" in err


def test_a_name_may_be_a_number(tmp_path):
    tr.exercise("06", right, results=tmp_path, name=12345)
    assert read(tmp_path)[0][0].name == "12345"
