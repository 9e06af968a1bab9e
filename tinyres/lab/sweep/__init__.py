"""Many short trainings over a grid: `tinyres sweep`.

grid.py      the recipes of a grid, and which of them cannot be built
point.py     one recipe trained and measured
results.py   one CSV, a row a finished point, from which a sweep goes on
local.py     here, or in processes of this machine
cluster.py   on an existing Dask cluster
conduct.py   what is not finished yet is run, and what comes back is kept
heatmap.py   a figure over two axes
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
