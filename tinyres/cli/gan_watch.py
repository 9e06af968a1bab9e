"""What `tinyres gan train --watch` does besides training: it looks at the game, and shows what it saw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tinyres.cli.common import UsageError

LOOKS = 20  # where no interval is given


def make(trainer: Any, every: int | None, checkpoint: Path) -> Any:
    """What watches the run, from its start or as it was watched before; None if nobody asks for it."""
    if every is None and trainer.notes is None:
        return None
    from tinyres import flow
    from tinyres.flow.instruments import watched

    try:
        if every is None:
            every = watched.every(trainer.notes)
        return flow.GameWatch(trainer, every or max(1, trainer.total // LOOKS), trainer.notes)
    except ValueError as error:
        raise UsageError(f"--resume: {checkpoint}: the watch cannot continue: {error}") from error


def show(watch: Any, trainer: Any, folder: Path) -> None:
    """Write game.json, game.png with its dark form, run.html with a lane for each player, and report.html."""
    from tinyres import viewer
    from tinyres.lab.report.game import write_game_page

    found = watch.history()
    if not found.labels["step"]:
        return
    found.to_json(folder / "game.json")
    losses = {"D": found["loss_d"], "G": found["loss_g"]}
    title = "a GAN" if trainer.recipe is None else trainer.recipe.title
    viewer.save(watch.layers(), folder / "run.html", title=title, losses=losses, curves=watch.curves())
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    sentences = result["score"]["sentences"] if result["score"] else []
    lead = (
        f"{trainer.step:,} of {trainer.total:,} steps of the generator; {len(found.labels['step'])} looks at the game."
    )
    write_game_page(folder, watch, title, lead, sentences)
