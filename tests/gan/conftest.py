"""A run that several files look at."""

import pytest

from tests.gan.command import SMALL, run


@pytest.fixture
def trained(capsys, tmp_path):
    """The folder of a short run."""
    status, out, _ = run(capsys, "train", *SMALL, "--steps", 4, "--sample-every", 2, "--out", tmp_path / "run")
    assert status == 0
    assert "of 8 modes" in out
    return tmp_path / "run"
