"""Optimisers, learning rate schedules, gradient clipping, and optimiser state in files."""

from tinyres.nn.clipping import clip_grad_norm_, clip_grad_value_
from tinyres.optim import lr_scheduler
from tinyres.optim.cycles import CosineAnnealingWarmRestarts, OneCycleLR
from tinyres.optim.file_form import flat, nested
from tinyres.optim.optimizer import Optimizer
from tinyres.optim.optimizers import SGD, Adam, AdamW, RMSprop
from tinyres.optim.plateau import ReduceLROnPlateau
from tinyres.optim.schedules import (
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    SequentialLR,
    StepLR,
)
from tinyres.refusals.absent import told

__all__ = [
    "SGD", "Adam", "AdamW", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "ExponentialLR", "LRScheduler",
    "LambdaLR", "LinearLR", "MultiStepLR", "OneCycleLR", "Optimizer", "RMSprop", "ReduceLROnPlateau",
    "SequentialLR", "StepLR", "clip_grad_norm_", "clip_grad_value_", "flat", "lr_scheduler", "nested",
]  # fmt: skip
__getattr__ = told(__name__)
