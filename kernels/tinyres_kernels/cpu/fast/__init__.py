"""Convolutions with fewer products than the direct sum, for the kernels that most nets are made of.

    winograd.py, winograd_loops.py, tiles.py            3x3 at stride 1
    strided.py, strided_loops.py, strided_tiles.py      4x4 at stride 2
    subpixel.py                                         conv2d_dx onto few channels at a stride

None of them can keep NaN and infinity where they belong: they tell if something came out that is not finite, and
`cpu/conv.py` then goes another way.
"""
