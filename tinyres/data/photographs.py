"""Two photographs from scikit-learn: large real images to filter, blur and denoise."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.data.dataset import Array


def photographs(*, dtype: Any = "float32") -> list[Array]:
    """A temple and a flower: two arrays (427, 640, 3) of height, width and red, green, blue from 0 to 1.

    Raises:
        ImportError: scikit-learn is missing, or Pillow, which it needs to read them.
    """
    try:
        import PIL.Image  # noqa: F401  (if it is missing, scikit-learn's own error is about something else)
        from sklearn.datasets import load_sample_images
    except ImportError as error:
        raise ImportError(
            "photographs: these come with scikit-learn and are read by Pillow; pip install 'tinyres[lab]'"
        ) from error
    return [np.divide(image, 255, dtype=dtype) for image in load_sample_images().images]
