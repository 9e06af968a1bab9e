"""Kill `train` and `gan train` at random moments, let them go on, and hold what they leave against an unkilled run's.

    python -m tests.training.kills --rounds 200

A round is a run that is killed by SIGKILL and goes on, over and over, until it ends. Its folder then has to hold the
same files as that of a run which nobody killed, byte for byte; only the time in result.json may differ. Half of the
moments are drawn by the clock. The others are a random one of the run's dealings with files (opened, renamed, removed,
made): most of what can go wrong lies between two of these, and by the clock it would seldom be hit.

Runs are forked from a process that has everything loaded and compiled, so that a life takes a second, not ten.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

RUNS = {
    "train": (
        *("train", "stochastic_depth", "--depth", "8", "--width", "2", "--batch-size", "600", "--steps", "6"),
        *("--save-every", "1", "--record", "2"),
    ),
    "gan": (
        *("gan", "train", "--data", "ring8", "--method", "r3gan", "--width", "4", "--batch-size", "32", "--steps", "6"),
        *("--save-every", "2", "--sample-every", "3", "--conditional", "--watch", "2"),
    ),
}
EVENTS = {"open", "os.rename", "os.remove", "os.mkdir"}
AGAIN = 0.5  # of a run that was killed: how likely it is killed once more
MOST_LIVES = 20


def live(command: tuple[str, ...], folder: Path, doom: Callable[[], None] = lambda: None) -> int:
    """Begin the run in a process of its own, or go on with it; the process's number."""
    resume = ["--resume"] if (folder / "run.safetensors").exists() else []
    child = os.fork()
    if child:
        return child
    status = 70
    try:
        from tinyres.cli import main

        output = os.open(folder.parent / f"{folder.name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        doom()
        status = main([*command, *resume, "--out", str(folder)])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def at_event(number: int, folder: Path) -> Callable[[], None]:
    """Die where the run deals with a file of its folder for that time, before it does."""

    def doom() -> None:
        left = number

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal left
            if event in EVENTS and str(folder) in str(arguments[0]):
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)

    return doom


def counted(command: tuple[str, ...], folder: Path) -> tuple[int, float]:
    """Run it whole; how many dealings with files it has, and how many seconds it takes."""
    began, reader, writer = time.perf_counter(), *os.pipe()

    def doom() -> None:
        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            if event in EVENTS and str(folder) in str(arguments[0]):
                os.write(writer, b".")

        sys.addaudithook(hook)

    child = live(command, folder, doom)
    os.close(writer)
    events = 0
    while part := os.read(reader, 4096):
        events += len(part)
    os.close(reader)
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit(f"the run that nobody kills ended with {status}: {log(folder)}")
    return events, time.perf_counter() - began


def left(folder: Path) -> dict[str, Any]:
    """Every file by its name, hidden ones included; a time is no result."""
    found: dict[str, Any] = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    if "result.json" in found:
        result = json.loads(found["result.json"])
        del result["seconds"]
        found["result.json"] = result
    return found


def different(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """What is wrong, a sentence a file."""
    missing = [f"{name} is missing" for name in expected if name not in found]
    extra = [f"{name} is left over" for name in found if name not in expected]
    return missing + extra + [f"{n} is another" for n in expected if n in found and found[n] != expected[n]]


def log(folder: Path) -> str:
    return (folder.parent / f"{folder.name}.log").read_text(errors="replace")[-3000:]


def one(command: tuple[str, ...], folder: Path, events: int, seconds: float, draw: random.Random) -> list[str]:
    """A run, killed and taken up until it ends; how each life was to end, the last one by itself."""
    lives: list[str] = []
    while True:
        doomed = not lives or (draw.random() < AGAIN and len(lives) < MOST_LIVES)
        at, moment = draw.randrange(events), draw.uniform(0, seconds)
        if not doomed:
            child = live(command, folder)
        elif draw.random() < 0.5:
            child = live(command, folder, at_event(at, folder))
            lives.append(f"at file {at}")
        else:
            child = live(command, folder)
            time.sleep(moment)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            lives.append(f"after {moment:.3f} s")
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            if os.WEXITSTATUS(status):
                lives.append(f"ended with {os.WEXITSTATUS(status)}: {log(folder)}")
            elif doomed:
                lives[-1] += " (it had ended before)"
            return lives


def main(rounds: int, seed: int, folder: Path) -> int:
    """Print what was done and found; the exit status is 1 if a folder differs."""
    draw, wrong, kills = random.Random(seed), 0, 0
    expected, events, seconds = {}, {}, {}
    from tinyres.cli import main as tinyres

    for name, command in RUNS.items():
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            tinyres([*command, "--out", str(folder / f"{name}-warm")])  # loads and compiles what the forked ones use
        events[name], seconds[name] = counted(command, folder / name)
        expected[name] = left(folder / name)
        print(
            f"{name}: {len(expected[name])} files, {events[name]} dealings with files, {seconds[name]:.1f} s",
            flush=True,
        )
    for number in range(rounds):
        name = list(RUNS)[number % len(RUNS)]
        place = folder / f"{name}-{number}"
        lives = one(RUNS[name], place, events[name], seconds[name], draw)
        said = different(left(place), expected[name])
        said += [life for life in lives if life.startswith("ended with")]
        kills += sum("ended" not in life for life in lives)
        wrong += bool(said)
        if said:
            print(f"round {number}: {name}, killed {', '.join(lives)}: {'; '.join(said)}", flush=True)
        elif number % 20 == 19:
            print(f"{number + 1} rounds, {kills} kills, {wrong} wrong", flush=True)
    print(f"{rounds} rounds, {kills} kills, {wrong} wrong", flush=True)
    return bool(wrong)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="kill runs at random moments, and hold what they leave in the end")
    parser.add_argument("--rounds", type=int, default=200, metavar="N", help="runs that are killed (default: 200)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the moments (default: 0)")
    given = parser.parse_args()
    # Before anything is loaded: a forked process computes on one thread, and only then do sums round alike.
    os.environ |= dict.fromkeys(
        ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
    )
    with tempfile.TemporaryDirectory() as made:
        sys.exit(main(given.rounds, given.seed, Path(made)))
