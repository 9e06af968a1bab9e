"""Training a classifier: what decides a run, the run itself, and a file from which it goes on bit for bit.

recipe.py      everything that decides a run, as plain values
prepare.py     a recipe made into model, data, optimiser and schedule
run.py         the loop
evaluate.py    loss and accuracy on a data set
classifier.py  conducting it: scores, saves and a report, in a folder

Serving every kind of run, GANs' included:

conduct.py     from the start, or a checkpoint, to the report
interrupts.py  Ctrl-C that waits for the end of a step
resumable.py   what a run must offer to be saved and resumed
checkpoint.py  a run as one file
validation.py  checks of what such a file says
machine.py     what decides how sums are rounded

distributed/  one run on several processes, over MPI
"""

from tinyres.training.checkpoint import CheckpointError, resume, save
from tinyres.training.classifier import conduct
from tinyres.training.conduct import Conductor, Outcome
from tinyres.training.distributed import DataParallel, RankFailed, Ranks
from tinyres.training.evaluate import Score, evaluate
from tinyres.training.prepare import initialise, prepare
from tinyres.training.recipe import ACTIVATIONS, INITIALISATIONS, OPTIMIZERS, SCHEDULES, Recipe
from tinyres.training.resumable import ResumableRun
from tinyres.training.run import Diverged, Run, saved_recipe

__all__ = [
    "ACTIVATIONS", "INITIALISATIONS", "OPTIMIZERS", "SCHEDULES", "CheckpointError", "Conductor", "DataParallel",
    "Diverged", "Outcome", "RankFailed", "Ranks", "Recipe", "ResumableRun", "Run", "Score", "conduct", "evaluate",
    "initialise", "prepare", "resume", "save", "saved_recipe",
]  # fmt: skip
