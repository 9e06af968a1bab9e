"""The schedules under PyTorch's name: `optim.lr_scheduler.StepLR(optimizer, 30)`."""

from tinyres.optim import cycles, schedules
from tinyres.optim.cycles import *  # noqa: F403
from tinyres.optim.plateau import ReduceLROnPlateau
from tinyres.optim.schedules import *  # noqa: F403
from tinyres.refusals.absent import told

__all__ = ["ReduceLROnPlateau"]
__all__ += cycles.__all__ + schedules.__all__
__getattr__ = told(__name__)
