"""The three convolutions on tensor cores: how each falls into launches of the kernels in `convolution.cu`."""

from math import gcd
from typing import NamedTuple

from tinyres_kernels.cuda.tensor_core import program
from tinyres_kernels.cuda.tensor_core.program import THREADS, Variant
from tinyres_kernels.geometry import Axis
from tinyres_kernels.namespace import Array, namespace
from tinyres_kernels.settings import Conv

ROWS, DEEP = 128, 16  # of a tile, as in convolution.cu
WIDTHS = (32, 64, 128)
ENOUGH = 264  # blocks of `conv2d_dw`: two for each multiprocessor of a large GPU, whatever GPU it is: the same bits
SHARE = 32  # slabs that each has at least


class Span(NamedTuple):
    """One axis of the kernel `gather`: where windows lie, and where their results go."""

    results: int
    stride: int
    shift: int
    move: int
    taps: int
    first: int
    step: int


def _phases(axis: Axis) -> list[tuple[slice, Span]]:
    """The adjoint along an axis, as convolutions at stride 1: of each phase the taps, and windows into the cotangent.

    Pixel i = a + s q is read through tap k where i + p - k d = s o; for a phase a, the taps that divide are known, and
    o = q + (a + p - k d) / s.
    """
    found = []
    hop = axis.stride // gcd(axis.stride, axis.dilation)
    for a in range(min(axis.stride, axis.size)):
        taps = [k for k in range(axis.kernel) if (a + axis.padding - k * axis.dilation) % axis.stride == 0]
        shift = (a + axis.padding - taps[0] * axis.dilation) // axis.stride if taps else 0
        count = len(range(a, axis.size, axis.stride))
        span = Span(count, 1, shift, -hop * axis.dilation // axis.stride, len(taps), a, axis.stride)
        found.append((slice(taps[0], None, hop) if taps else slice(0, 0), span))
    return found


def _check(out: Array, products: int) -> None:
    if out.dtype != "float32":
        raise ValueError(f"the tensor-core kernels compute in float32, got {out.dtype}: take tinyres_kernels.cuda")
    if products not in (1, 3):
        raise ValueError(f"products must be 3 (float32's accuracy) or 1 (TF32's), got {products}")
    if not out.flags.c_contiguous:
        raise ValueError(f"out must be C-contiguous to be written in place, got strides {out.strides} for {out.shape}")


def _words(array: Array, *multiples: int) -> int:
    """How many neighbouring words one copy may take: 4 where they always start at a multiple of 16 bytes."""
    interface = getattr(array, "__cuda_array_interface__", None) or array.__array_interface__
    return 1 if interface["data"][0] % 16 or any(n % 4 for n in multiples) else 4


def _blocks(size: int, each: int) -> int:
    return -(-size // each)


def _width(columns: int) -> int:
    return next((width for width in WIDTHS if width >= columns), WIDTHS[-1])


def _gather(x: Array, w: Array, out: Array, rows: Span, cols: Span, groups: int, products: int) -> None:
    """The kernel `gather` over all pixels, columns and groups. w is (taps, taps, C / groups, O)."""
    N, H, W, C = x.shape
    _, OH, OW, O = out.shape
    CG, OG = C // groups, O // groups
    # A phase without taps still has pixels, which are zero; its weights are empty, which no kernel takes.
    x, w = x.reshape(-1), w.reshape(-1) if w.size else x.reshape(-1)
    variant = Variant(_width(OG), products, _words(x, CG), _words(w, OG))
    grid = (_blocks(N * rows.results * cols.results, ROWS), _blocks(OG, variant.columns), groups)
    image = (N, H, W, C, CG, OH, OW, O, OG)
    program.launch("gather", variant, grid, (x, w, out.reshape(-1)), *image, *rows, *cols)


def conv2d(x: Array, w: Array, out: Array, s: Conv, products: int = 3) -> None:
    """`reference.conv2d`, of x (N, H, W, C) and w (KH, KW, C / groups, O) into out (N, OH, OW, O).

    Raises:
        ValueError: shapes that do not belong together, another type than float32, or `products` neither 3 nor 1.
        TypeError: not CuPy arrays.
        RuntimeError: a GPU without these tensor cores.
    """
    rows, cols = s.axes(x.shape, w.shape, out.shape)
    _check(out, products)
    down, along = (Span(a.out, a.stride, -a.padding, a.dilation, a.kernel, 0, 1) for a in (rows, cols))
    _gather(x, w, out, down, along, s.groups, products)


def conv2d_dx(g: Array, w: Array, out: Array, s: Conv, products: int = 3) -> None:
    """`reference.conv2d_dx`, phase by phase, of g (N, OH, OW, O) and w into out (N, H, W, C). Raises as `conv2d`."""
    (rows, cols), groups = s.axes(out.shape, w.shape, g.shape), s.groups
    _check(out, products)
    KH, KW, CG, O = w.shape
    turned = w.reshape(KH, KW, CG, groups, O // groups).transpose(0, 1, 4, 3, 2)  # (KH, KW, O / groups, groups, CG)
    turned = turned.reshape(KH, KW, O // groups, groups * CG)
    for taps_h, down in _phases(rows):
        for taps_w, along in _phases(cols):
            _gather(g, turned[taps_h, taps_w], out, down, along, groups, products)


def conv2d_dw(x: Array, g: Array, out: Array, s: Conv, products: int = 3) -> None:
    """`reference.conv2d_dw`, of x and g (N, OH, OW, O) into out (KH, KW, C / groups, O): parts of the pixels, then
    their sum. Raises as `conv2d`."""
    (rows, cols), groups = s.axes(x.shape, out.shape, g.shape), s.groups
    _check(out, products)
    N, H, W, C = x.shape
    _, OH, OW, O = g.shape
    KH, KW, CG, _ = out.shape
    x, g, line = x.reshape(-1), g.reshape(-1), out.reshape(-1)
    variant = Variant(_width(O // groups), products, _words(x, CG), _words(g, O // groups))
    down, across = _blocks(KH * KW * CG, ROWS), _blocks(O // groups, variant.columns)
    slabs = _blocks(N * OH * OW, DEEP)
    parts = max(1, min(ENOUGH // (down * across * groups), slabs // SHARE))
    part_size = _blocks(slabs, parts) * DEEP
    parts = _blocks(N * OH * OW, part_size)
    sums = namespace(x, g, out).empty(parts * out.size, out.dtype) if parts > 1 else line
    image = (N, H, W, C, CG, OH, OW, O, O // groups, part_size)
    spans = [(axis.stride, axis.padding, axis.dilation, axis.kernel) for axis in (rows, cols)]
    program.launch("weights", variant, (down, across, groups * parts), (x, g, sums), *image, *spans[0], *spans[1])
    if parts > 1:
        program.launch("sum_parts", variant, (_blocks(out.size, THREADS), 1, 1), (sums, line), parts, out.size)
