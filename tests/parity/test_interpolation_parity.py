"""Which pixel each pixel is taken from: at ties that is decided by rounding, which is to be PyTorch's."""

import numpy as np
import pytest

import tinyres as tr
from tests.each import for_each

torch = pytest.importorskip("torch", reason="PyTorch is missing, so nothing was held against it: pip install torch")

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
@for_each(
    "asked", [*({"size": (1, n)} for n in range(1, 80)), *({"scale_factor": (1.0, f / 10)} for f in range(4, 40))]
)
def test_the_nearest_pixel_is_pytorchs(mode, asked):
    for n in range(3, 60):
        x = np.arange(n, dtype=np.float32)[None, None, None]
        theirs = torch.nn.functional.interpolate(torch.tensor(x), **asked, mode=mode)
        ours = tr.nn.functional.interpolate(tr.tensor(x), **asked, mode=mode)
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), f"{n} pixels")
