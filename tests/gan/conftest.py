"""A run that several files look at."""

import shutil

import pytest

from tests.gan.command import SMALL
from tests.sketches import sketching
from tinyres.cli import main


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    arguments = [*SMALL, "--steps", 4, "--sample-every", 2, "--out", folder]
    with sketching():
        assert main(["gan", "train", *map(str, arguments)]) == 0
    return folder


@pytest.fixture
def trained(capsys, trained_once, tmp_path):
    """The folder of a short run, for this test alone."""
    capsys.readouterr()
    return shutil.copytree(trained_once, tmp_path / "run")
