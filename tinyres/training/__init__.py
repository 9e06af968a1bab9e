"""Training a classifier: what decides a run, the run itself, and a file from which it goes on bit for bit.

recipe.py    everything that decides a run, as plain values
prepare.py   a recipe made into model, data, optimiser and schedule
run.py       the loop
state.py     a run as one file
machine.py   what decides how sums are rounded
evaluate.py  loss and accuracy on a data set
ranks.py, data_parallel.py, witness.py  the same by several processes, over MPI
"""

from tinyres.training.data_parallel import DataParallel
from tinyres.training.evaluate import Score, evaluate
from tinyres.training.prepare import initialise, prepare
from tinyres.training.ranks import RankFailed, Ranks
from tinyres.training.recipe import ACTIVATIONS, INITIALISATIONS, OPTIMIZERS, SCHEDULES, Recipe
from tinyres.training.run import Diverged, Run
from tinyres.training.state import CheckpointError, resume, save

__all__ = [
    "ACTIVATIONS", "INITIALISATIONS", "OPTIMIZERS", "SCHEDULES", "CheckpointError", "DataParallel", "Diverged",
    "RankFailed", "Ranks", "Recipe", "Run", "Score", "evaluate", "initialise", "prepare", "resume", "save",
]  # fmt: skip
