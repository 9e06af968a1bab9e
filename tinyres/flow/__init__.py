"""Gradient-flow experiments: what theory predicts, what is measured, and a verdict.

Each experiment is a file that ends in an `Experiment`; `EXPERIMENTS` lists them in the order of `tinyres flow`.
"""

from tinyres.flow import block_check, depth_law, digits, residual_gain
from tinyres.flow.experiment import Experiment, Law, Options, Result
from tinyres.flow.record import Recording, record

EXPERIMENTS: dict[str, Experiment] = {
    module.EXPERIMENT.name: module.EXPERIMENT for module in (depth_law, residual_gain, block_check, digits)
}

__all__ = ["EXPERIMENTS", "Experiment", "Law", "Options", "Recording", "Result", "record"]
