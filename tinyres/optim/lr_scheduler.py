"""The schedules under PyTorch's name: `optim.lr_scheduler.StepLR(optimizer, 30)`."""

from tinyres.optim.schedules import *  # noqa: F403
from tinyres.optim.schedules import __all__ as __all__
