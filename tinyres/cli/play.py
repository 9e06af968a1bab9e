"""`tinyres play`: turn a knob in the browser, and watch the gradient vanish or survive."""

from __future__ import annotations

import argparse
from typing import Any

from tinyres.cli.common import UsageError, need

PACKAGES = {"starlette": "starlette", "uvicorn": "uvicorn", "websockets": "websockets", "sklearn": "scikit-learn",
            "scipy": "scipy"}  # fmt: skip


def add(commands: Any) -> None:
    """Declare the command."""
    play = commands.add_parser(
        "play",
        help="turn a knob in the browser, and watch the gradient vanish or survive",
        description="Open the playground in a browser: one net, or the two players of a GAN, with everything that can "
        "be turned, and what theory predicts drawn beside what is measured. It is served on this machine only, behind "
        "a random token in the address. Closing the page stops its training; Ctrl-C ends everything.",
        epilog="Example: tinyres play --no-browser --port 8400",
    )
    play.add_argument("--no-browser", action="store_true", help="do not open a browser, only print the address")
    play.add_argument("--port", type=int, metavar="N",
                      help="port to serve on (default: 8321, or the next free one)")  # fmt: skip
    play.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    if arguments.port is not None and not 0 <= arguments.port <= 65535:
        raise UsageError(f"--port {arguments.port}: a port is a number from 0 to 65535; 0 takes any free one")
    need(PACKAGES, "play")
    from tinyres.play.server import serve

    try:
        serve(arguments.port, browser=not arguments.no_browser, say=lambda text: print(text, flush=True))
    except OSError as error:
        raise UsageError(f"{error}; name another one with --port") from error
    return 0
