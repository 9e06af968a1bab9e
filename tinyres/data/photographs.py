"""Two photographs that scikit-learn brings: large real images to filter, blur and denoise."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.data.dataset import Array


def photographs(*, dtype: Any = "float32") -> list[Array]:
    """A temple and a flower, two arrays (427, 640, 3): height, width and red, green, blue from 0 to 1.

    Raises:
        ImportError: scikit-learn is missing, or Pillow, with which it reads them.
    """
    try:
        import PIL.Image  # noqa: F401  (without it, what scikit-learn says suits another function)
        from sklearn.datasets import load_sample_images
    except ImportError as error:
        raise ImportError(
            "photographs: these come with scikit-learn and are read by Pillow; pip install 'tinyres[lab]'"
        ) from error
    return [np.divide(image, 255, dtype=dtype) for image in load_sample_images().images]
