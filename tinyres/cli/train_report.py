"""What `tinyres train` leaves besides weights, and what it keeps of a recording."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tinyres.cli.common import UsageError


def recording(made: Any, every: int | None, checkpoint: Path) -> Any:
    """What watches the run, from the start or as it was watched before; None where nobody asks for it."""
    from tinyres import flow
    from tinyres.flow.instruments import kept

    if every is None and made.notes is None:
        return None
    try:
        recorder = flow.record(made.model, every=kept.every(made.notes) if every is None else every)
        return kept.Kept(recorder, made.step, made.notes)
    except ValueError as error:
        raise UsageError(f"--resume: {checkpoint}: its recording cannot go on: {error}") from error


def save(made: Any, recorder: Any, checkpoint: Path) -> None:
    """The run, with what was recorded so far: what a resumed run leaves is what it would have left unstopped."""
    from tinyres import training

    if recorder is not None:
        made.notes = recorder.notes(made.step)
    training.save(made, checkpoint)


def report(made: Any, recorder: Any, out: Path, seconds: float, processes: int) -> None:
    """Write result.json and training.png, and with a recorder flow.json and flow.png: numbers before pictures."""
    from tinyres.files import write, write_figure
    from tinyres.flow.measurement import plain

    document = {
        "recipe": made.recipe.to_json(),
        "device": made.device,
        "processes": processes,
        "parameters": made.model.parameter_count(),
        "steps": made.step,
        "train_loss": made.losses,
        "scores": made.scores,
        "seconds": round(seconds, 1),
    }
    write(out / "result.json", json.dumps(plain(document), indent=1) + "\n")
    if recorder is not None and not recorder.empty:  # a run that had ended already has nothing to show
        history = recorder.history()
        history.to_json(out / "flow.json")
        write_figure(history.plot(), out / "flow.png")
    write_figure(_losses(made), out / "training.png")


def _losses(made: Any) -> Any:
    """The losses of every step, and the scores."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.5), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    left = figure.add_subplot()
    left.semilogy(range(1, made.step + 1), made.losses, "-", color="tab:blue", lw=0.7, alpha=0.6, label="training loss")
    steps = [score["step"] for score in made.scores]
    left.semilogy(steps, [score["loss"] for score in made.scores], "o-", color="tab:red", ms=3, label="test loss")
    left.set(xlabel="training step", ylabel="cross-entropy in nats", title=f"{made.recipe.arch} on {made.recipe.data}")
    right = left.twinx()
    right.plot(steps, [score["accuracy"] for score in made.scores], "s--", color="tab:green", ms=3, label="accuracy")
    right.set(ylabel="test accuracy", ylim=(0, 1.02))
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    return figure
