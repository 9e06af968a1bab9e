"""Training a classifier: what decides a run, the run itself, and a file from which it goes on bit for bit.

recipe.py    everything that decides a run, as plain values
prepare.py   a recipe made into model, data, optimiser and schedule
run.py       the loop
state.py     a run as one file
evaluate.py  loss and accuracy on a data set
"""

from tinyres.training.evaluate import Score, evaluate
from tinyres.training.prepare import initialise, prepare
from tinyres.training.recipe import ACTIVATIONS, INITIALISATIONS, OPTIMIZERS, SCHEDULES, Recipe
from tinyres.training.run import Diverged, Run
from tinyres.training.state import CheckpointError, resume, save

__all__ = [
    "ACTIVATIONS", "INITIALISATIONS", "OPTIMIZERS", "SCHEDULES", "CheckpointError", "Diverged", "Recipe", "Run",
    "Score", "evaluate", "initialise", "prepare", "resume", "save",
]  # fmt: skip
