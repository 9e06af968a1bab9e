"""Scalars of a run for TensorBoard, in the folder `tensorboard` of the run's: `tensorboard --logdir DIR`."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from pathlib import Path

FOLDER = "tensorboard"


class TensorBoard:
    """Writes scalars, step by step, through tensorboardX.

    A resumed run goes on in the same folder: what a killed run wrote beyond its checkpoint is marked, and TensorBoard
    leaves it out.

    Args:
        folder: of the run.
        step: where the run stands: steps up to this one are kept.

    Raises:
        ImportError: tensorboardX is missing.
    """

    def __init__(self, folder: Path, step: int) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise ImportError("--log tensorboard needs tensorboardX: pip install 'tinyres[tensorboard]'") from error
        # A file is named after the second; a run that is resumed within it must not write over what was there.
        suffix = f".{step:09}.{secrets.token_hex(4)}"
        self._writer = SummaryWriter(str(folder / FOLDER), purge_step=step + 1, filename_suffix=suffix)

    def add(self, scalars: Mapping[str, float], step: int) -> None:
        """Add values by name, "loss/train", at this step; NaN stands for none and is left out."""
        for name, value in scalars.items():
            if not math.isnan(value):
                self._writer.add_scalar(name, value, step)

    def flush(self) -> None:
        """Bring all that was added to the disk."""
        self._writer.flush()

    def close(self) -> None:
        """Bring it to the disk, and end."""
        self._writer.close()


__all__ = ["TensorBoard"]
