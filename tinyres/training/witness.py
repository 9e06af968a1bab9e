"""A witness: a process that outlives a run, to say what became of it when nobody else can.

When a rank is killed, `mpiexec` kills all the others in the same moment: not one of them gets to say a word, and what
mpiexec itself says ("EXIT CODE: 9") helps nobody to go on. So rank 0 starts a small process in a session of its own,
hands it a sentence whenever it has saved, and takes its leave at the end; if it vanishes without, the sentence is said.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from tinyres.training.ranks import RankFailed

GOODBYE = "\x04"
_WATCH = f"""
import sys
lines = sys.stdin.read().splitlines()
if lines and lines[-1] != {GOODBYE!r}:
    print(lines[-1], file=sys.stderr, flush=True)
"""


class Witness:
    """Something that can be told, line by line, what to say in the end."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WATCH], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            start_new_session=True, text=True, encoding="utf-8",
        )  # fmt: skip

    def tell(self, sentence: str) -> None:
        """Replace what is to be said if this process vanishes."""
        assert self._process.stdin is not None
        self._process.stdin.write(sentence.replace("\n", " ") + "\n")
        self._process.stdin.flush()

    def __enter__(self) -> Witness:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        """An orderly end, or one that everybody was told of, needs no witness; anything else it shall tell."""
        if kind is None or issubclass(kind, RankFailed):
            self.tell(GOODBYE)
        self._process.communicate()


__all__ = ["Witness"]
