"""Gradient flow: instruments that watch any model, and experiments that are held against theory.

instruments/     what passes through a model, measured
measurement.py   what instruments return: named arrays, a picture, JSON
theory/          closed forms
experiments/     what theory predicts, what is measured, and a verdict
run.py           one of them from Python; seeds.py: at several seeds; processes.py: on all cores
sweep/           many short trainings over a grid, on all cores or on a cluster
report/          tables in the terminal, pictures, JSON, one page
"""

from tinyres.flow.instruments.correlation import gradient_correlation
from tinyres.flow.instruments.lesions import dropped, lesion, swapped
from tinyres.flow.instruments.noise import gradient_noise_scale
from tinyres.flow.instruments.paths import paths
from tinyres.flow.instruments.record import Recording, record
from tinyres.flow.instruments.spectra import jacobian_spectrum, of_block
from tinyres.flow.measurement import Measurement
from tinyres.flow.run import run

__all__ = [
    "Measurement", "Recording", "dropped", "gradient_correlation", "gradient_noise_scale", "jacobian_spectrum",
    "lesion", "of_block", "paths", "record", "run", "swapped",
]  # fmt: skip
