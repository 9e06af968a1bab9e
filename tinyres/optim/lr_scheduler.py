"""The schedules under PyTorch's name: `optim.lr_scheduler.StepLR(optimizer, 30)`."""

from tinyres.optim.schedules import CosineAnnealingLR, LinearLR, LRScheduler, MultiStepLR, SequentialLR, StepLR

__all__ = ["CosineAnnealingLR", "LRScheduler", "LinearLR", "MultiStepLR", "SequentialLR", "StepLR"]
