"""The other process of compiled.py, `python -m tinyres.play.ahead SETTING PARENT`: two steps on compiled kernels."""

from __future__ import annotations

import json
import os
import sys
import threading
import time

from tinyres.play.net_run import NetRun


def die_with(parent: int) -> None:
    """End this process when the one that started it is gone, however that ended."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(setting: str, parent: str) -> None:
    """Forwards, backwards, the optimiser's step, and again."""
    die_with(int(parent))
    run = NetRun(json.loads(setting), kernels="cpu")
    run.measure()
    run.advance()
    run.measure()


if __name__ == "__main__":
    main(*sys.argv[1:])
