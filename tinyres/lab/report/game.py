"""report.html of a GAN's run that was watched: what the two players did, on one self-contained page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinyres.figures import description_of
from tinyres.files import write
from tinyres.flow.instruments.watched import GameWatch
from tinyres.lab.printed import figure_text
from tinyres.lab.report.page import embedded, environment, is_picture
from tinyres.lab.report.pictures import save_picture

PICTURES = (
    ("The game", "game.png", "game.json",
     "Eigenvalues λ of the Jacobian J of the field v that both players follow: a step of size "
     "h multiplies a displacement along an eigenvector by 1 + hλ. While the players follow v, it changes at the rate "
     "Jv, which has a part Sv that they agree on and a part Av that turns it. Below: the gradient that each loss would "
     "give G at this discriminator, and D's slope."),
    ("Samples", "samples.png", "", "From the averaged generator, where there is one."),
    ("Training", "training.png", "result.json", "Losses, gradient norms and outputs of D at every step."),
)  # fmt: skip
WORDS = {
    "consensus": "|Sv| / |v|: what the players agree on", "turning": "|Av| / |v|: what turns them",
    "rotation": "|A|² / |J|²", "field": "|v|", "confidence": "D's confidence", "right": "pairs in which D is right",
    "slope_real": "D's slope at real samples", "slope_between": "between", "slope_fake": "at fakes",
}  # fmt: skip


def write_game_page(folder: Path, watch: GameWatch, title: str, lead: str, sentences: Sequence[str]) -> Path:
    """Draw folder/game.png and write folder/report.html, with the pictures of the run that are there.

    Args:
        lead: says what the run was; sentences: of its score.
    """
    found = watch.history()
    save_picture(lambda figure: figure.set_size_inches(11, 8) or found.plot(figure), folder / "game.png")
    ends = sorted({0, len(found.labels["step"]) - 1})
    rows = [(said, [figure_text(float(found[name][i])) for i in ends]) for name, said in WORDS.items()]
    for i, loss in enumerate(found.labels["loss"]):
        rows.append(
            (f"|gradient of G|, {loss.replace('_', ' ')}", [figure_text(float(found["gradient"][k, i])) for k in ends])
        )
    page = (
        environment()
        .get_template("game.html.j2")
        .render(
            title=title,
            lead=lead,
            sentences=sentences,
            pictures=[
                (heading, text, _shown(name, folder, heading, source))
                for heading, name, source, text in PICTURES
                if is_picture(name, folder)
            ],
            steps=[found.labels["step"][i] for i in ends],
            rows=rows,
            cost=f"The cost of {found.cost}.",
        )
    )
    write(folder / "report.html", page)
    return folder / "report.html"


def _shown(name: str, folder: Path, heading: str, source: str) -> dict[str, Any]:
    alt = f"{heading}. {description_of((folder / name).read_bytes())}".strip()
    return embedded(name, folder, source) | {"id": f"picture-{Path(name).stem}", "alt": alt, "short": heading}


__all__ = ["write_game_page"]
