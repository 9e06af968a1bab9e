"""Gradient flow: instruments that watch any model, and experiments that are held against theory.

instruments/     what passes through a model, measured
measurement.py   what instruments return: named arrays, a picture, JSON
theory/          closed forms
experiments/     what theory predicts, what is measured, and a verdict
report/          tables in the terminal, pictures, JSON, one page
"""

from tinyres.flow.measurement import Measurement
from tinyres.flow.instruments.record import Recording, record

__all__ = ["Measurement", "Recording", "record"]
