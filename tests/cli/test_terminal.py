"""What the commands print, on terminals and into files that are not ours."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tinyres.cli import main
from tinyres.cli.terminal import LEAST, say, show, spelled, terminal

pytestmark = pytest.mark.usefixtures("sketched")

QUICK = {
    "flow": ("flow", "check"),
    "train": ("train", "resnet", "--depth", "8", "--width", "2", "--batch-size", "400", "--steps", "1"),
    "gan": ("gan", "train", "--method", "hinge", "--data", "ring8", "--steps", "2"),
    "sweep": ("sweep", "--arch", "mlp", "--depth", "3", "--steps", "1", "--jobs", "1"),
}


@pytest.mark.parametrize("command", QUICK)
def test_a_path_is_no_markup(command, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*QUICK[command], "--out", "a[/b]:smile:"]) == 0
    out = capsys.readouterr().out
    assert "a[/b]:smile:" in out
    assert os.path.isdir("a[/b]:smile:")


def test_what_would_steer_the_terminal_is_not_printed(capsys):
    say(terminal(), "a\x1b[31mred\x07 name\r", "wrote", "bold")
    assert main(["train", "re\x1b[31msnet"]) == 2
    out, err = capsys.readouterr()
    assert out == "wrote a?[31mred? name?\n"
    assert "\x1b" not in err


@pytest.mark.parametrize("columns", ["0", "20", "200"])
def test_no_terminal_is_too_narrow_for_names(columns, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("COLUMNS", columns)
    assert terminal().width == max(int(columns), LEAST)
    assert main(["flow", "check", "--rows", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "branch.0.weight" in out
    assert "6 of 6 checks agree" in out


def test_a_file_has_no_width_and_gets_whole_rows(monkeypatch, capsys):
    from tinyres.lab.law import Law
    from tinyres.lab.printed import laws_table

    monkeypatch.delenv("COLUMNS", raising=False)
    law = Law("a law whose name says at length of which net, " * 3, 1.0, 1.0, 0.1, "exact", "")
    console = terminal()
    width = console.width
    show(console, laws_table("", [law], ""))
    out = capsys.readouterr().out
    assert law.name in out
    assert [cell.strip() for cell in out.splitlines()[1].split("┃")[1:-1]] == [
        "law",
        "measured",
        "predicted",
        "verdict",
    ]
    assert console.width == width
    monkeypatch.setenv("COLUMNS", "80")
    show(terminal(), laws_table("", [law], ""))
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_a_terminal_without_greek_letters_spells_them():
    assert "χ = 1.2²".encode("ascii", "tinyres.spelled") == b"chi = 1.2^2"
    assert "Fréchet ψ ₂ 漢".encode("ascii", "tinyres.spelled") == b"Frechet psi 2 ?"
    assert spelled(UnicodeEncodeError("ascii", "aξ", 1, 2, "")) == ("xi", 2)


def test_a_full_disk_behind_the_output_is_one_sentence(tmp_path):
    command = [sys.executable, "-m", "tinyres", "flow", "--list"]
    with open("/dev/full", "w") as full:
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr == "tinyres flow: No space left on device: the standard output, perhaps\n"


def test_ctrl_c_while_it_starts_is_no_traceback(tmp_path):
    """The module that imports last is made to wait: the signal comes while everything is half imported."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "class Last:\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        if name == 'tinyres.autograd.tensor':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Last)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    for command in (["-m", "tinyres", "--version"], ["-c", "import tinyres"]):
        ran = subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, check=False)
        ours = command[0] == "-m"
        assert (ran.returncode == 130) is ours
        assert (ran.stderr == "\nstopped\n") is ours
        assert ("KeyboardInterrupt" in ran.stderr) is not ours


def test_a_polite_kill_stops_politely(tmp_path, monkeypatch, capsys):
    from tinyres.lab.registry import EXPERIMENTS, Experiment

    def killed(options, tick):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    slow = Experiment("check", "slow", "", "", lambda options: 1, killed, 1.0)
    monkeypatch.setitem(EXPERIMENTS, "check", slow)
    before = signal.getsignal(signal.SIGTERM)
    assert main(["flow", "check", "--out", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "\nstopped\n"
    assert signal.getsignal(signal.SIGTERM) is before
