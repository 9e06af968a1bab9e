"""Figures that are composed and not drawn: drawing takes most of a short run's time, for dark pages once more."""

import hashlib
import io
from contextlib import contextmanager

import numpy as np


def sketch(figure, description="", numbers=""):
    """A PNG file of 32 grey dots, which are others for a figure with other lines, images, points or texts."""
    from PIL import Image

    seen = hashlib.sha256()
    for artist in figure.findobj():
        for shown in ("get_text", "get_xydata", "get_array", "get_offsets"):
            value = getattr(artist, shown, lambda: None)()
            seen.update(b"" if value is None else np.asarray(value).tobytes())
    content = io.BytesIO()
    Image.frombytes("L", (8, 4), seen.digest()).save(content, "PNG")
    return content.getvalue()


def only_sketch(put=setattr):
    """From now on a sketch stands in each file of a figure. Drawing is tested where the pictures are.

    put: `setattr`, for a process that ends with its test, or monkeypatch's, which undoes it.
    """
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from tinyres import files

    put(files, "png", sketch)
    put(ConstrainedLayoutEngine, "execute", lambda self, figure: None)


@contextmanager
def sketching():
    """`only_sketch`, inside."""
    import pytest  # which processes that a test starts do without

    with pytest.MonkeyPatch.context() as patched:
        only_sketch(patched.setattr)
        yield
