"""Layer norm and RMS norm in whole-array operations."""

from tinyres_kernels.namespace import Array, namespace
from tinyres_kernels.settings import LayerNorm


def layer_norm(
    x: Array, weight: Array | None, bias: Array | None, out: Array, mean: Array, scale: Array, s: LayerNorm
) -> None:
    """`reference.layer_norm`."""
    xp = namespace(x)
    mean[...] = x.mean(axis=1)
    unit = x - mean[:, None]
    scale[...] = 1 / xp.sqrt(xp.einsum("mc,mc->m", unit, unit) / x.shape[1] + s.eps)
    unit *= scale[:, None]
    if weight is not None:
        unit *= weight
    out[...] = unit if bias is None else unit + bias


def layer_norm_dx(
    g: Array, x: Array, weight: Array | None, mean: Array, scale: Array, out: Array, dweight: Array | None,
    dbias: Array | None, s: LayerNorm,
) -> None:  # fmt: skip
    """`reference.layer_norm_dx`. The sums over rows, which may be many, are float64."""
    xp, C = namespace(x), x.shape[1]
    unit = (x - mean[:, None]) * scale[:, None]
    if dweight is not None:
        dweight[...] = (g * unit).sum(axis=0, dtype="float64")
    if dbias is not None:
        dbias[...] = g.sum(axis=0, dtype="float64")
    d = g.copy() if weight is None else g * weight
    along = xp.einsum("mc,mc->m", d, unit) / C
    d -= d.mean(axis=1, keepdims=True)
    d -= unit * along[:, None]
    out[...] = d * scale[:, None]


def rms_norm(x: Array, weight: Array | None, out: Array, scale: Array, s: LayerNorm) -> None:
    """`reference.rms_norm`."""
    xp = namespace(x)
    scale[...] = 1 / xp.sqrt(xp.einsum("mc,mc->m", x, x) / x.shape[1] + s.eps)
    unit = x * scale[:, None]
    out[...] = unit if weight is None else unit * weight


def rms_norm_dx(
    g: Array, x: Array, weight: Array | None, scale: Array, out: Array, dweight: Array | None, s: LayerNorm
) -> None:
    """`reference.rms_norm_dx`. The sums over rows, which may be many, are float64."""
    xp = namespace(x)
    unit = x * scale[:, None]
    if dweight is not None:
        dweight[...] = (g * unit).sum(axis=0, dtype="float64")
    d = g if weight is None else g * weight
    along = xp.einsum("mc,mc->m", d, unit) / x.shape[1]
    out[...] = (d - unit * along[:, None]) * scale[:, None]
