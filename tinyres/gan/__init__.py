"""Generative adversarial nets: losses, penalties, training and metrics.

losses.py, penalties.py   what the players minimise, a small function each with its paper
recipe.py    everything that decides a run, as plain values; the methods of the papers are presets
data.py      the real samples;   labels.py   their classes, for conditional players
prepare.py   a recipe made into players, optimisers and trainer
trainer.py   the loop
descent.py   one step of one player;   burn_in.py   what changes in the first part of a run
sampling.py  drawing from a generator, and the averaged one
saved.py     the players of a saved run
conduct.py   conducting a run: pictures along the way, and the report
pictures.py  samples, interpolations between samples, training curves
probe.py     the gradient that one discriminator gives a generator, for every loss
compare.py   several methods on one data set, each at several seeds
score.py     how good a trained generator is, by metrics/
"""

from tinyres.gan import pictures
from tinyres.gan.burn_in import BurnIn
from tinyres.gan.compare import Entrant, compare
from tinyres.gan.conduct import conduct
from tinyres.gan.data import SHAPES, mixture, real_data
from tinyres.gan.losses import LOSSES, GANLoss, saturating_naive
from tinyres.gan.penalties import PENALTIES, clip_weights_, dragan, gradient_penalty, r1, refuse_batch_norm
from tinyres.gan.prepare import players, prepare
from tinyres.gan.probe import ProbePoint, probe
from tinyres.gan.recipe import METHODS, GANRecipe
from tinyres.gan.sampling import sample
from tinyres.gan.saved import load_generator, load_players, saved_recipe
from tinyres.gan.score import Score, score
from tinyres.gan.trainer import GANTrainer, StepRecord
from tinyres.training.checkpoint import CheckpointError, resume, save

__all__ = [
    "LOSSES", "METHODS", "PENALTIES", "SHAPES", "BurnIn", "CheckpointError", "Entrant", "GANLoss", "GANRecipe",
    "GANTrainer", "ProbePoint", "Score", "StepRecord", "clip_weights_", "compare", "conduct", "dragan",
    "gradient_penalty", "load_generator", "load_players", "mixture", "pictures", "players", "prepare", "probe", "r1",
    "real_data", "refuse_batch_norm", "resume", "sample", "saturating_naive", "save", "saved_recipe", "score",
]  # fmt: skip
