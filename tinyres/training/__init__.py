"""Training a classifier, and what every training needs: checkpoints that resume bit for bit, and conducting a run.

recipe.py      everything that decides a run, as plain values
prepare.py     a recipe made into model, data, optimiser and schedule
run.py         the loop
evaluate.py    loss and accuracy on a data set
classifier.py  conducting it: a score after each epoch, and the report

Serving every kind of run, GANs' included:

tensorboard.py scalars of the steps, for TensorBoard
conduct.py     a run in its folder, from its start or its checkpoint to its report
interrupts.py  Ctrl-C and SIGTERM that wait for the end of a step
resumable.py   what a run must offer to be saved and resumed
checkpoint.py  a run as one file;   notes.py   what a watching instrument keeps in it
divergence.py  the first layer that is not finite
validation.py  checks of what such a file says
machine.py     what decides how sums are rounded
writer.py      a trained model of text, to write with

distributed/  one run on several processes, over MPI
"""

from tinyres.training.checkpoint import CheckpointError, resume, save
from tinyres.training.classifier import conduct
from tinyres.training.conduct import Conductor, Outcome
from tinyres.training.distributed import DataParallel, RankFailed, Ranks
from tinyres.training.divergence import Diverged
from tinyres.training.evaluate import Score, evaluate
from tinyres.training.prepare import initialise, prepare
from tinyres.training.recipe import ACTIVATIONS, INITIALISATIONS, OPTIMIZERS, SCHEDULES, Recipe
from tinyres.training.resumable import ResumableRun
from tinyres.training.run import Run, saved_recipe
from tinyres.training.writer import Writer

__all__ = [
    "ACTIVATIONS", "INITIALISATIONS", "OPTIMIZERS", "SCHEDULES", "CheckpointError", "Conductor", "DataParallel",
    "Diverged", "Outcome", "RankFailed", "Ranks", "Recipe", "ResumableRun", "Run", "Score", "Writer", "conduct",
    "evaluate", "initialise", "prepare", "resume", "save", "saved_recipe",
]  # fmt: skip
