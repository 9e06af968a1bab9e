"""Runs killed at a few random moments; `python -m tests.training.kills` does it two hundred times."""

import os
import subprocess
import sys

import pytest

from tests.training.kills import different, left


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the runs are forked")
def test_a_run_that_was_killed_leaves_what_one_left_that_was_not():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "tests.training.kills", "--rounds", "2"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.splitlines()[-1].endswith(" kills, 0 wrong")) == (0, True), (
        ran.stdout + ran.stderr
    )


def test_what_differs_is_noticed(tmp_path):
    for name, seconds in (("one", 1), ("other", 2)):
        (tmp_path / name / "samples").mkdir(parents=True)
        (tmp_path / name / "result.json").write_text(f'{{"seconds": {seconds}, "steps": 3}}')
        (tmp_path / name / "samples" / "1.png").write_bytes(b"drawn")
    other = tmp_path / "other"
    assert different(left(other), left(tmp_path / "one")) == []
    (other / ".tinyres-01.tmp").touch()
    (other / "samples" / "1.png").write_bytes(b"torn")
    (other / "result.json").unlink()
    said = ["result.json is missing", ".tinyres-01.tmp is left over", f"samples{os.sep}1.png is another"]
    assert different(left(other), left(tmp_path / "one")) == said
