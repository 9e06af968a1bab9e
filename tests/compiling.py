"""Workers of pytest-xdist that begin with no compiled kernels: each kernel is compiled by one of them.

The others would compile it as well, on the same cores, and a suite with an empty cache would take minutes longer. They
wait, and load what is then on disk.
"""

import functools
import os
import tempfile
from pathlib import Path

from filelock import FileLock

PATIENCE = 120  # seconds, after which a worker compiles for itself


def one_after_the_other():
    """From now on this process compiles a kernel only while no other worker compiles the same one."""
    from numba.core.caching import NullCache
    from numba.core.dispatcher import Dispatcher

    folder = Path(tempfile.gettempdir()) / f"tinyres-compiling-{os.environ['PYTEST_XDIST_TESTRUNUID']}"
    folder.mkdir(exist_ok=True)
    usual = Dispatcher.compile

    @functools.wraps(usual)
    def compile(self, sig):
        function = self.py_func
        if not function.__module__.startswith("tinyres_kernels.cpu") or isinstance(self._cache, NullCache):
            return usual(self, sig)
        name = f"{function.__module__}.{function.__qualname__}".replace("<locals>", "")
        # One lock a name: kernels of one factory share a name, and one may be compiled while another is.
        lock = FileLock(folder / f"{name}.lock", timeout=PATIENCE, thread_local=False, is_singleton=True)
        try:
            lock.acquire()
        except OSError:  # a Timeout is one, and a file system may have no locks
            return usual(self, sig)
        try:
            return usual(self, sig)
        finally:
            lock.release()

    Dispatcher.compile = compile
