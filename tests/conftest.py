"""What holds for the whole suite."""

import os
import signal

# Several test processes share the cores: an idle thread that spins for long would hold up the others.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

# A suite that runs in the background may have been told to ignore Ctrl-C, and what it starts would ignore it, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_make_parametrize_id(config, val, argname):
    """Bytes are named by their length: a compressed file may hold the time at which it was made.

    Workers that collect a moment apart would otherwise see different tests, and pytest-xdist would refuse to run any.
    """
    return f"{argname}-{len(val)}-bytes" if isinstance(val, bytes) else None
