"""A file that is there already."""

import pytest

from tests.files.saved import OLD
from tinyres.files import save


@pytest.fixture
def path(tmp_path):
    """A file that holds OLD."""
    save(OLD, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"
