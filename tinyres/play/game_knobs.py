"""What can be turned in the lab of two players, and how a setting is made to fit together."""

from __future__ import annotations

from typing import Any

from tinyres.play.knobs import Knob

LOSSES = (("nonsaturating", "non-saturating"), ("saturating", "saturating (minimax)"),
          ("least_squares", "least squares"), ("hinge", "hinge"), ("wasserstein", "Wasserstein"))  # fmt: skip
PENALTIES = (("none", "none"), ("r1", "R1, at the data"), ("gp", "WGAN-GP, data to fakes"),
             ("dragan", "DRAGAN, around the data"))  # fmt: skip
NETS = {"target": ["ring8", "grid25", "digits"]}

KNOBS = (
    Knob("target", "Data", "What the generator should learn to imitate.", "Data", "ring8",
         choices=(("gaussians", "1-d Gaussians"), ("ring8", "ring of 8"), ("grid25", "grid of 25"),
                  ("dirac", "Dirac-GAN"), ("digits", "digits"))),
    Knob("distance", "Distance", "How many standard deviations the fakes begin from the data.", "Data", 4.0, 0.0, 30.0,
         shown=(0.5, 8), when={"target": ["gaussians"]}),
    Knob("best", "Begin with the best D", "D starts as the best discriminator there is, instead of knowing nothing.",
         "Data", False, when={"target": ["gaussians"]}),
    Knob("theta", "θ", "Where the one fake begins; the data are at 0.", "Data", 1.0, -10.0, 10.0, shown=(-2, 2),
         when={"target": ["dirac"]}),
    Knob("psi", "ψ", "The slope that D begins with.", "Data", 0.0, -10.0, 10.0, shown=(-2, 2),
         when={"target": ["dirac"]}),
    Knob("width", "Width", "Units in each hidden layer of both players.", "Nets", 64, 2, 512, shown=(8, 256), log=True,
         when=NETS),
    Knob("loss", "Loss", "What the two players minimise.", "Game", "nonsaturating", choices=LOSSES, live=True),
    Knob("penalty", "Penalty", "What bounds the slope of D.", "Game", "none", choices=PENALTIES, live=True),
    Knob("weight", "Penalty's weight", "By which the penalty is multiplied.", "Game", 1.0, 0.0, 1e6, shown=(0.01, 100),
         log=True, live=True, when={"penalty": ["r1", "gp", "dragan"]}),
    Knob("d_steps", "Steps of D", "For each step of G.", "Game", 1, 1, 100, shown=(1, 10)),
    Knob("optimizer", "Optimiser", "Of both players.", "Training", "adam",
         choices=(("adam", "Adam, β₁ = 0.5"), ("sgd", "SGD"))),
    Knob("lr_g", "Learning rate of G", "The length of the generator's steps.", "Training", 1e-3, 0.0, 1e12,
         shown=(1e-5, 1), log=True, live=True),
    Knob("lr_d", "Learning rate of D", "The length of the discriminator's steps.", "Training", 1e-3, 0.0, 1e12,
         shown=(1e-5, 1), log=True, live=True),
    Knob("batch", "Batch", "Real samples, and fakes, per step.", "Training", 256, 1, 1000, shown=(8, 512), log=True,
         when={"target": ["gaussians", "ring8", "grid25", "digits"]}),
    Knob("seed", "Seed", "Of the weights, the noise and the order of the batches.", "Data", 0, 0, 2**31 - 1,
         shown=(0, 20)),
)  # fmt: skip


def fitted(setting: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The setting with what does not fit together mended, and a sentence for each change."""
    return dict(setting), []
