"""How much the weight gradient rounds: no more than sums do that are cut into pieces of about equal size and number."""

import numpy as np
import pytest
from tinyres_kernels import cpu, im2col
from tinyres_kernels.settings import Conv

EPS = float(np.finfo("f").eps)
# (N, H, C, O, K, stride, padding, groups), and which way it goes
CASES = {
    (1, 28, 512, 128, 1, 1, 0, 1): "product",
    (1, 56, 64, 256, 1, 1, 0, 1): "product",
    (4, 56, 256, 64, 1, 1, 0, 1): "product",
    (1, 14, 1024, 64, 1, 1, 0, 1): "product",
    (1, 28, 32, 16, 1, 1, 0, 1): "outer",
    (1, 32, 16, 16, 3, 1, 1, 1): "outer",
    (16, 32, 16, 16, 3, 1, 1, 1): "outer",
    (2, 32, 3, 16, 3, 1, 1, 1): "outer",
    (1, 56, 16, 64, 5, 1, 2, 1): "outer",
    (8, 32, 16, 32, 3, 2, 1, 1): "outer",
    (8, 16, 64, 64, 3, 1, 1, 1): "winograd",
    (8, 16, 64, 128, 4, 2, 1, 1): "strided",
    (1, 112, 32, 32, 3, 1, 1, 32): "depthwise",
    (4, 56, 64, 64, 3, 1, 1, 16): "depthwise",
}


def limit(way, pixels):
    """Of the root mean square error over that of the sums. The n numbers of a sum are random: sums of b of them, one
    after the other, and then of the n / b results, have an error of some eps sqrt(b / 2 + n / (2 b)) / 5, which is the
    least, eps n^(1/4) / 5, for b = sqrt(n). (Winograd's sums at stride 2 round three times as much: of each, several
    are added up and taken from each other.)"""
    return (0.7 if way == "strided" else 0.35) * EPS * max(pixels, 1024) ** 0.25


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("case", "way"), CASES.items(), ids=str)
def test_a_weight_gradient_rounds_like_short_sums(case, way, threads):
    N, H, C, O, K, stride, padding, groups = case
    s = Conv((stride, stride), (padding, padding), (1, 1), groups)
    OH = (H + 2 * padding - K) // stride + 1
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((N, H, H, C), "f"), rng.standard_normal((N, OH, OH, O), "f")
    out, truth = np.empty((K, K, C // groups, O), "f"), np.empty((K, K, C // groups, O))
    with cpu.forced(threads=threads):
        assert cpu.explain("conv2d_dw", x, g, out, s).way == way
        cpu.conv2d_dw(x, g, out, s)
    im2col.conv2d_dw(x.astype("d"), g.astype("d"), truth, s)
    error = np.sqrt(((out - truth) ** 2).mean() / (truth**2).mean())
    assert error <= limit(way, N * OH * OH)
