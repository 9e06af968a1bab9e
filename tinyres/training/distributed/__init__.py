"""One run on several processes, over MPI.

ranks.py            the processes, and how they exchange arrays and notice failures
data_parallel.py    each takes its share of every batch
sync_batch_norm.py  batch norm with the statistics of the whole batch
hardware.py         a rank's cores and its GPU
watchdog.py         says what happened when a process was killed
"""

from tinyres.training.distributed.data_parallel import CannotShare, DataParallel
from tinyres.training.distributed.hardware import assign_hardware
from tinyres.training.distributed.ranks import RankFailed, Ranks
from tinyres.training.distributed.sync_batch_norm import SyncBatchNorm1d, SyncBatchNorm2d, synchronise

__all__ = [
    "CannotShare", "DataParallel", "RankFailed", "Ranks", "SyncBatchNorm1d", "SyncBatchNorm2d", "assign_hardware",
    "synchronise",
]  # fmt: skip
