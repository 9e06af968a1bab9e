"""Gradient flow: instruments that measure any model, and theory to compare the measurements with.

instruments/     record norms, path lengths, Jacobian spectra, gradient correlation, noise scale, lesions,
                 tokens and attention, mixed streams, sharpness, the tangent kernel, the spectrum of a game,
                 a game while it is played
measurement.py   the result of an instrument: named arrays, a plot, JSON; as a table: tables.py
theory/          closed-form predictions
"""

from tinyres.flow.instruments.attention import attention_entropy
from tinyres.flow.instruments.correlation import gradient_correlation
from tinyres.flow.instruments.curve import Curve, plot
from tinyres.flow.instruments.game import game_spectrum
from tinyres.flow.instruments.lesions import dropped, lesion, swapped
from tinyres.flow.instruments.mixing import composite_gain
from tinyres.flow.instruments.noise import gradient_noise_scale
from tinyres.flow.instruments.paths import paths
from tinyres.flow.instruments.record import Recording, record
from tinyres.flow.instruments.sharpness import sharpness
from tinyres.flow.instruments.spectra import block_and_input, jacobian_spectrum
from tinyres.flow.instruments.tangent import tangent_kernel_trace
from tinyres.flow.instruments.tokens import token_similarity
from tinyres.flow.instruments.watched import GameWatch
from tinyres.flow.measurement import Measurement

__all__ = [
    "Curve",
    "GameWatch",
    "Measurement",
    "Recording",
    "attention_entropy",
    "block_and_input",
    "composite_gain",
    "dropped",
    "game_spectrum",
    "gradient_correlation",
    "gradient_noise_scale",
    "jacobian_spectrum",
    "lesion",
    "paths",
    "plot",
    "record",
    "sharpness",
    "swapped",
    "tangent_kernel_trace",
    "token_similarity",
]  # fmt: skip
