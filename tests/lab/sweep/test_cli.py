"""`tinyres sweep` as a user types it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tinyres.cli import main
from tinyres.lab.sweep import local

TINY = ("--arch", "mlp", "--depth", "3", "--width", "4", "--batch-size", "32", "--steps", "2", "--jobs", "1")


def run(capsys, *arguments):
    status = main(["sweep", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err


def test_a_sweep_leaves_a_table_and_a_picture_and_is_not_run_again(capsys, tmp_path, table, monkeypatch):
    arguments = (*TINY, "--lr", 0.1, 1e30, "--seed", 0, 1, "--steps", 5, "--out", tmp_path)
    status, out, _ = run(capsys, *arguments)
    assert status == 0
    assert "2 of 2" in out  # diverged
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sweep.csv", "sweep.png"]
    first = table(tmp_path)
    assert [row[21] for row in first] == ["status", "ok", "ok", "diverged", "diverged"]
    picture = (tmp_path / "sweep.png").read_bytes()
    assert picture.startswith(b"\x89PNG")

    monkeypatch.setattr(local, "attempt", lambda recipe, device: pytest.fail(f"ran again: {recipe}"))
    status, out, _ = run(capsys, *arguments)
    assert status == 0
    assert "4 of 4 points are already finished" in out
    assert table(tmp_path) == first
    assert (tmp_path / "sweep.png").read_bytes() == picture
    status, _, _ = run(capsys, *arguments, "--metric", "gradient", "--x", "seed", "--y", "lr")
    assert status == 0
    assert (tmp_path / "sweep.png").read_bytes() != picture


def stopped(file, arguments, number):
    """Start a sweep as a process, stop it with the signal after two more rows; (its exit status, what it said)."""
    psutil = pytest.importorskip("psutil")
    lines = file.read_bytes().count(b"\n") if file.exists() else 1
    command = [sys.executable, "-m", "tinyres.cli", "sweep", *arguments, "--jobs", "2", "--out", str(file.parent)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=subprocess.STDOUT, text=True, start_new_session=True) as process:
        deadline = time.monotonic() + 60
        while not (file.exists() and file.read_bytes().count(b"\n") >= lines + 2):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        children = psutil.Process(process.pid).children(recursive=True)
        if number == signal.SIGINT:  # the terminal sends it to all
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        said = process.communicate(timeout=60)[0]
    _, alive = psutil.wait_procs(children, timeout=30)
    assert len(children) >= 2
    assert not alive
    return process.returncode, said


@pytest.mark.slow
def test_a_sweep_stopped_and_then_killed_ends_in_the_table_of_one_never_stopped(capsys, tmp_path, table):
    arguments = [*TINY[:-4], "--steps", "10", "--seed", *map(str, range(40))]
    file = tmp_path / "a" / "sweep.csv"
    before = []
    for number in (signal.SIGINT, signal.SIGKILL):
        status, said = stopped(file, arguments, number)
        lines = file.read_bytes().split(b"\n")[:-1]
        assert set(before) < set(lines)  # what was there did not run again: even its seconds are the same
        before = lines
        if number == signal.SIGKILL:
            assert status == -number
        else:
            assert status == 130
            assert f"stopped; {len(lines) - 1} of 40 points are finished and saved" in said
            assert "Traceback" not in said
    assert len(before) < 41, "it was stopped too late to test anything"
    status, out, _ = run(capsys, *arguments, "--jobs", 1, "--out", tmp_path / "a")
    assert status == 0
    assert f"{len(before) - 1} of 40 points are already finished" in out
    assert set(before) < set(file.read_bytes().splitlines())
    run(capsys, *arguments, "--jobs", 1, "--out", tmp_path / "b")
    assert table(tmp_path / "a") == table(tmp_path / "b")


@pytest.mark.slow
def test_a_disk_that_fills_up_is_one_sentence_and_costs_no_row(capsys, tmp_path, table):
    """No file of that process may exceed 1,024 bytes: the system takes a part of a row, as a full disk does."""
    pytest.importorskip("resource")
    arguments = [*TINY, "--seed", *map(str, range(6)), "--out", str(tmp_path)]
    code = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024)); "
    code += "from tinyres.cli import main; sys.exit(main(['sweep', *sys.argv[1:]]))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert ran.stderr.splitlines()[-1] == f"tinyres sweep: cannot write {tmp_path / 'sweep.csv'}: File too large"
    assert "Traceback" not in ran.stderr
    rows = (tmp_path / "sweep.csv").read_bytes()
    assert rows.endswith(b"\n")
    status, out, _ = run(capsys, *arguments)
    assert status == 0
    count = rows.count(b"\n") - 1
    assert 0 < count < 6
    assert f"{count} of 6 points are already finished" in out
    assert (tmp_path / "sweep.csv").read_bytes().startswith(rows)
    assert len(table(tmp_path)) == 7


def test_a_polite_kill_stops_as_ctrl_c_does(capsys, tmp_path, monkeypatch, table):
    attempt, before = local.attempt, signal.getsignal(signal.SIGTERM)

    def interrupted(recipe, device):
        if recipe.seed == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return attempt(recipe, device)

    monkeypatch.setattr(local, "attempt", interrupted)
    status, out, _ = run(capsys, *TINY, "--seed", 0, 1, 2, 3, "--out", tmp_path)
    assert status == 130
    assert "stopped; 2 of 4 points are finished and saved" in out
    assert len(table(tmp_path)) == 3
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_point_that_fails_makes_the_exit_status_1(capsys, tmp_path, monkeypatch, table):
    attempt = local.attempt
    monkeypatch.setattr(local, "attempt", lambda r, d: "MemoryError: no room" if r.seed == 1 else attempt(r, d))
    status, out, _ = run(capsys, *TINY, "--seed", 0, 1, "--out", tmp_path)
    assert status == 1
    assert "failed: mlp, seed 1: MemoryError: no room" in out
    assert len(table(tmp_path)) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--arch", "resnet", "rasnet"), "no architecture called 'rasnet'; did you mean resnet"),
        (("--depth", "0"), "plain at depth 0 cannot be built (depth must be 6 n + 2"),
        (("--arch", "plain", "mlp", "--depth", "8", "9", "2"), "; neither can plain at depth 2, mlp at depth 2"),
        (("--width", "0"), "width must be at least 1, got 0"),
        (("--activation", "rellu"), "no activation called 'rellu'; did you mean relu"),
        (("--init", "orthogonl"), "no init called 'orthogonl'"),
        (("--init", "-1"), "s_w² must be at least 0"),
        (("--lr", "0.1", "nan"), "lr must be a finite number, got nan"),
        (("--seed", "-1"), "seed must be at least 0"),
        (("--steps", "0"), "steps must be at least 1"),
        (("--data", "digit"), "no data set called 'digit'; did you mean digits"),
        (("--jobs", "0"), "--jobs 0: must be at least 1"),
        (("--jobs", "1", "--scheduler", "tcp://127.0.0.1:1"), "--jobs applies to this machine only"),
        (("--metric", "acuracy"), "no metric called 'acuracy'; did you mean accuracy"),
        (("--x", "dept"), "no axis called 'dept'; did you mean depth"),
        (("--x", "depth", "--y", "depth"), "--x and --y are both depth"),
        (("--out", "/proc/nowhere"), "cannot write into /proc/nowhere"),
    ],
)
def test_what_cannot_be_run_is_one_sentence(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    status, _, err = run(capsys, *arguments)
    assert status == 2
    assert err.startswith("tinyres sweep: ")
    assert message in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_another_table_in_the_folder_is_refused_and_left_alone(capsys, tmp_path):
    (tmp_path / "sweep.csv").write_text("a,b\n1,2\n")
    status, _, err = run(capsys, *TINY, "--out", tmp_path)
    assert status == 2
    assert "is not a sweep's table" in err
    assert (tmp_path / "sweep.csv").read_text() == "a,b\n1,2\n"


@pytest.mark.usefixtures("sketched")
def test_epochs_instead_of_steps_and_the_default_length(capsys, tmp_path, table):
    base = TINY[:-4]
    run(capsys, *base, "--batch-size", 500, "--jobs", 1, "--epochs", 2, "--out", tmp_path)
    run(capsys, *base, "--jobs", 1, "--batch-size", 500, "--out", tmp_path)
    header, *rows = table(tmp_path)
    assert [(row[header.index("epochs")], row[header.index("steps")]) for row in rows] == [("20", "100"), ("2", "")]
    assert [row[header.index("steps_taken")] for row in rows] == ["100", "4"]


@pytest.mark.usefixtures("sketched")
def test_a_terminal_of_80_columns_shows_names_and_figures_whole(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    arguments = ("--arch", "highway_mlp", "mlp", *TINY[2:], "--depth", 3, 5, "--lr", 0.1, 1e30, "--steps", 5)
    _, out, _ = run(capsys, *arguments, "--out", tmp_path)
    for whole in ("highway_mlp ", "accuracy ", "diverged", "1 of 1"):
        assert whole in out
    assert "nan" not in out  # of what diverged there are no figures
    assert "\u2026" not in out
