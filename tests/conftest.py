"""What holds for the whole suite."""

import os

# Several test processes share the cores: an idle thread that spins for long would hold up the others.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def pytest_make_parametrize_id(config, val, argname):
    """Bytes are named by their length: a compressed file may hold the time at which it was made.

    Workers that collect a moment apart would otherwise see different tests, and pytest-xdist would refuse to run any.
    """
    return f"{argname}-{len(val)}-bytes" if isinstance(val, bytes) else None
