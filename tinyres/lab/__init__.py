"""Experiments: a prediction from theory or a paper, a measurement, and a verdict.

laws/        random nets at initialisation, compared with closed forms
stream/      the residual stream of Transformers: layer norm, attention, hyper-connections
players/     GANs: the gradient that the generator receives
trained/     nets trained on real images
claims/      popular claims and code listings, put to the test
experiment.py, law.py, setting.py   what an experiment consists of;   registry.py  all experiments
depth.py     a net layer by layer;   dots.py  measured points and the line that theory predicts
run.py       run one from Python;   seeds.py  at several seeds;   side_by_side.py, processes.py  on all cores
sweep/       grids of short trainings, on all cores or on a cluster
report/      tables in the terminal, pictures, JSON, one page
"""

from tinyres.lab.run import run

__all__ = ["run"]
