"""Data sets that are there at once: bundled digits, two-dimensional toys, and the loader that batches them.

Nothing is downloaded. Every draw takes a seed, so the same call gives the same arrays on every machine.
"""

from tinyres.data.dataset import Dataset, Split
from tinyres.data.digits import digits
from tinyres.data.loader import DataLoader
from tinyres.data.toy import gaussian_mixture, grid, grid_centers, ring, ring_centers, two_moons

__all__ = [
    "DataLoader",
    "Dataset",
    "Split",
    "digits",
    "gaussian_mixture",
    "grid",
    "grid_centers",
    "ring",
    "ring_centers",
    "two_moons",
]
