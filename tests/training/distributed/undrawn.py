"""`python undrawn.py train ...`: the command, with sketches for its pictures, at which no test here looks."""

import os
import sys

from tests.sketches import only_sketch
from tinyres.cli import main

if __name__ == "__main__":
    rank = os.environ.get("PMI_RANK", os.environ.get("OMPI_COMM_WORLD_RANK", "0"))
    if rank == "0":  # the others draw nothing
        only_sketch()
    sys.exit(main(sys.argv[1:]))
