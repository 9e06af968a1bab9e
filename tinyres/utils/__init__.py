"""What PyTorch keeps in `torch.utils`, as far as it is here: `data`."""

from tinyres.utils import data

__all__ = ["data"]
