"""The laboratory: what theory or a paper predicts, what is measured, and a verdict.

laws/        random nets at initialisation against closed forms
players/     what gradient a GAN's generator receives
trained/     nets that are trained on real images
claims/      popular claims and listings, put to the test
experiment.py, law.py, setting.py   what an experiment is;   registry.py  all that there are
depth.py     a net layer by layer;   dots.py  dots measured, lines theory
run.py       one of them from Python;   seeds.py  at several seeds;   processes.py  on all cores
sweep/       many short trainings over a grid, on all cores or on a cluster
report/      tables in the terminal, pictures, JSON, one page
"""

from tinyres.lab.run import run

__all__ = ["run"]
