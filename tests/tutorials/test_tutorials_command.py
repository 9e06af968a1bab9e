"""`tinyres tutorials`, as it is typed; and what every tutorial says of itself."""

import re
import shutil
import subprocess

import pytest

from tinyres.cli import main, tutorials
from tinyres.cli.common import UsageError


def run(capsys, *arguments):
    status = main(["tutorials", *arguments])
    out, err = capsys.readouterr()
    return status, out, err


FOUND = tutorials.tutorials()


@pytest.mark.parametrize("tutorial", FOUND, ids=lambda tutorial: tutorial.path.stem)
def test_each_asks_one_question_says_how_long_it_takes_and_leaves_an_exercise(tutorial):
    text = tutorial.path.read_text(encoding="utf-8")
    assert text.startswith("# %% [markdown]\n# # ")
    assert tutorial.question.endswith("?")
    assert not tutorial.question[0].isdigit()
    assert tutorial.seconds is not None
    assert tutorial.seconds <= 30
    assert f'tr.exercise("{tutorial.number}", ' in text
    assert re.search(r"^assert ", text, re.MULTILINE)
    assert "plt.show()" in text


def test_list(capsys):
    status, out, _ = run(capsys)
    assert status == 0
    lines = out.splitlines()
    assert lines[0].split() == ["question", "it", "computes"]
    assert lines[1].startswith("01  How much does one number move another?")
    assert re.search(r" 2 s$", lines[1])
    assert [line[:2] for line in lines[1 : len(FOUND) + 1]] == [tutorial.number for tutorial in FOUND]
    assert lines[len(FOUND) + 2].endswith("tutorials")


def test_copy_never_overwrites_unless_told_to(capsys, tmp_path):
    folder = tmp_path / "mine"
    status, out, _ = run(capsys, "copy", str(folder))
    assert (status, out.split()[:3]) == (0, ["copied", str(len(FOUND)), "tutorials"])
    assert sorted(path.name for path in folder.iterdir()) == [tutorial.path.name for tutorial in FOUND]
    mine = folder / FOUND[0].path.name
    mine.write_text("# what I wrote\n")
    (folder / FOUND[1].path.name).unlink()
    status, _, err = run(capsys, "copy", str(folder))
    assert status == 2
    assert f"{FOUND[0].path.name}, {FOUND[2].path.name}, {FOUND[3].path.name} and {len(FOUND) - 4} more; " in err
    assert "use --force to overwrite" in err
    assert mine.read_text() == "# what I wrote\n"
    assert not (folder / FOUND[1].path.name).exists()
    assert run(capsys, "copy", str(folder), "--force")[0] == 0
    assert mine.read_bytes() == FOUND[0].path.read_bytes()


def test_copy_onto_themselves_and_into_a_file(capsys, tmp_path):
    status, _, err = run(capsys, "copy", str(FOUND[0].path.parent), "--force")
    assert status == 2
    assert "is the folder to copy from" in err
    (tmp_path / "file").touch()
    status, _, err = run(capsys, "copy", str(tmp_path / "file"))
    assert status == 2
    assert "is not a folder" in err


def test_run(capsys, monkeypatch, tmp_path):
    ran = []

    def instead(command, **options):
        ran.append(command[3:])
        return subprocess.CompletedProcess(command, returncode=len(ran) - 1)

    monkeypatch.setattr(subprocess, "run", instead)
    assert run(capsys, "run", "2")[0] == 0
    assert run(capsys, "run", "02")[0] == 1  # did not come to its end
    assert ran == [[str(FOUND[1].path)]] * 2
    assert run(capsys, "run", "residual_sum", "--figures", str(tmp_path / "new"))[0] == 1
    assert ran[-1] == [str(FOUND[6].path), str(tmp_path / "new")]
    assert (tmp_path / "new").is_dir()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("99", f"no tutorial called '99'; there are 01 to {FOUND[-1].number}"),
        ("residual", "'residual' is in the name of several tutorials: 07_residual_sum, 17_residual_stream"),
        ("vanishng", "no tutorial called 'vanishng'; did you mean 06_vanishing?"),
    ],
)
def test_one_that_is_not_there(capsys, name, said):
    status, _, err = run(capsys, "run", name)
    assert status == 2
    assert said in " ".join(err.split())


def test_an_installation_without_them_says_where_they_are(tmp_path):
    with pytest.raises(UsageError, match="in the repository's tutorials folder"):
        tutorials.tutorials(tmp_path / "tinyres")


def test_those_of_the_wheel_come_first(tmp_path):
    for folder in ("tinyres/tutorials", "tutorials"):
        (tmp_path / folder).mkdir(parents=True)
        shutil.copyfile(FOUND[0].path, tmp_path / folder / FOUND[0].path.name)
    (found,) = tutorials.tutorials(tmp_path / "tinyres")
    assert found.path.parent == tmp_path / "tinyres" / "tutorials"
    assert found.question == FOUND[0].question
