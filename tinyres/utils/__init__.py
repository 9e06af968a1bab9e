"""What PyTorch keeps in `torch.utils`, as far as it is here: `data`."""

from tinyres.refusals.absent import told
from tinyres.utils import data

__all__ = ["data"]
__getattr__ = told(__name__)
