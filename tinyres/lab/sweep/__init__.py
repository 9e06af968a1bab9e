"""Hyperparameter sweeps: train a grid of short runs (`tinyres sweep`).

grid.py      the recipes of a grid, and which of them cannot be built
point.py     train and measure one recipe
results.py   a CSV with one row per finished point, from which a sweep resumes
local.py     run points in this process, or in parallel processes on this machine
cluster.py   run points on an existing Dask cluster
conduct.py   run the unfinished points and save their results
heatmap.py   a heat map over two axes
"""

from tinyres.lab.sweep.conduct import Execute, sweep
from tinyres.lab.sweep.grid import AXES, grid, problems, varying
from tinyres.lab.sweep.heatmap import METRICS, Mean, heatmap, mean
from tinyres.lab.sweep.point import Finding, measure
from tinyres.lab.sweep.results import Results, ResultsError

__all__ = [
    "AXES", "METRICS", "Execute", "Finding", "Mean", "Results", "ResultsError", "grid", "heatmap", "mean", "measure",
    "problems", "sweep", "varying",
]  # fmt: skip
