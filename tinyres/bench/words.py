"""The words of `tinyres bench kernels --why`, each explained in a line."""

import re
from collections.abc import Mapping
from types import MappingProxyType

# In the order in which a reader meets them. What a key says is looked for in the text as it stands.
WORDS: Mapping[str, str] = MappingProxyType(
    {
        "forward": "y from the images x and the weights w",
        "dx": "the gradient with respect to the images",
        "dw": "the gradient with respect to the weights: a sum over all pixels of all images",
        "lanes": "numbers that one instruction computes with at once",
        "vector registers": "where a core keeps the vectors that it computes with; a vector fills all lanes",
        "tap": "one place of the kernel: 3x3 weights have nine taps",
        "tile": "a small block of results that is kept in registers until it is finished",
        "panel": "weights laid out as wide as a tile, in the order in which it reads them",
        "dot": "direct: each result is a sum of products, pixels by channels in a tile",
        "outer": "direct, for dw: each pixel adds the products of its inputs with its gradients to a tile of taps",
        "winograd": "3x3 at stride 1 with 16 products where 36 are due: images and weights are transformed first "
        "(Winograd's minimal filtering, F(2x2, 3x3))",
        "strided": "the same idea for 4x4 at stride 2: 36 products where 64 are due (F(2x2, 2x2), four times)",
        "subpixel": "dx at stride > 1, onto few channels: one convolution computes all phases as channels, which are "
        "then dealt out to the pixels",
        "phases": "dx at stride s: pixels with the same remainder modulo s are one phase, a convolution at stride 1; "
        "there are one or several",
        "zeros": "pixels that no window reads: their gradient is 0",
        "depthwise": "a group for each channel, or small groups: lanes are channels",
        "groups of": "channels in each group",
        "product": "1x1 is a product of two matrices",
        "some pixels": "at a stride: those that are read are gathered first, and dx is spread over the image last",
        "tiles": "that product in tiles of our own",
        "blas": "that product by the library of NumPy (BLAS)",
        "im2col": "each window is copied into a row of a matrix, and one product of matrices does the rest",
        "stride and dilation": "dx where both are above 1: the general way has to do",
        "copied": "a few images at a time are copied, with their padding, into a buffer in the cache",
        "direct": "the images are read where they lie",
        "rows split": "few images: the threads share out the rows of each",
        "in a row": "three taps that are next to each other are taken at a time",
        "two rows": "a tile covers two short rows",
        "all taps": "all nine taps of three channels are taken at a time",
        "merged taps": "the taps of a row, and their channels, are one run of numbers in memory",
        "tap by tap": "they are no such run, and are taken one by one",
        "taps rounded up": "that run is made as long as whole tiles are",
        "rows of taps": "sums are long: a few rows of taps are summed at a time",
        "parts of a row": "sums are longer still: a part of a row of taps is summed at a time",
        "sums in parts": "sums over many channels are made in parts, which stay in the cache",
        "bands": "rows of tiles that are transformed, multiplied and transformed back together: they stay in the cache",
        "one band": "all rows of tiles at once",
        "a row a band": "one row of tiles at a time",
        "a shorter last band": "the rows do not divide evenly into bands",
        "columns split": "the threads share out the columns of the weights",
        "half tiles": "the result ends in the middle of a tile of 2x2 pixels",
        "channels rounded up": "channels are filled up to whole vectors",
        "one vector": "a tile is one vector of channels wide",
        "two vectors": "a tile is two vectors of channels wide",
        "one thread": "too little work to share",
        "threads": "the work is shared by all threads",
    }
)


def appearing(text: str) -> dict[str, str]:
    """Those that the text has, as words of their own."""
    plurals = {"tap": "s?", "panel": "s?", "tile": "s?"}

    def appears(word: str) -> bool:
        return re.search(rf"\b{re.escape(word)}{plurals.get(word, '')}\b", text) is not None

    return {word: meaning for word, meaning in WORDS.items() if appears(word)}


__all__ = ["WORDS", "appearing"]
