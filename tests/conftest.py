"""What holds for the whole suite."""

import os

# Several test processes share the cores: an idle thread that spins for long would hold up the others.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
