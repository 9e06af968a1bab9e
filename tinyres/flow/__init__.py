"""Gradient flow: instruments that watch any model, and the theory of what they should find.

instruments/     what passes through a model, measured
measurement.py   what instruments return: named arrays, a picture, JSON
theory/          closed forms
"""

from tinyres.flow.instruments.correlation import gradient_correlation
from tinyres.flow.instruments.lesions import dropped, lesion, swapped
from tinyres.flow.instruments.noise import gradient_noise_scale
from tinyres.flow.instruments.paths import paths
from tinyres.flow.instruments.record import Recording, record
from tinyres.flow.instruments.spectra import jacobian_spectrum, of_block
from tinyres.flow.measurement import Measurement

__all__ = [
    "Measurement", "Recording", "dropped", "gradient_correlation", "gradient_noise_scale", "jacobian_spectrum",
    "lesion", "of_block", "paths", "record", "swapped",
]  # fmt: skip
