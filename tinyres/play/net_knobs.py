"""What can be turned in the lab of one net, and how a setting is made to fit together."""

from __future__ import annotations

from typing import Any

from tinyres.flow.theory.activations import ACTIVATIONS
from tinyres.play.knobs import Knob

MLP, CONV = {"family": ["mlp"]}, {"family": ["conv"]}
SCALED = {"family": ["mlp"], "architecture": ["residual", "preact"]}
LEARNING_RATES = (0.0, 1e12)  # what may be typed: to see a net diverge is part of the game

KNOBS = (
    Knob("family", "Layers", "Fully connected layers, or 3x3 convolutions on the digits.", "Net", "mlp",
         choices=(("mlp", "fully connected"), ("conv", "convolutional"))),
    Knob("architecture", "Architecture", "How the blocks are joined: with a skip connection or without.", "Net",
         "residual",
         choices=(("plain", "plain"), ("residual", "residual"), ("preact", "pre-activation"), ("highway", "Highway"),
                  ("densenet", "DenseNet"), ("skipinit", "SkipInit"))),
    Knob("depth", "Depth", "Blocks between the first layer and the head; of a convolutional net, layers with weights.",
         "Net", 50, 2, 200, log=True),
    Knob("width", "Width", "Units in a layer; of a convolutional net, channels of its first stage.", "Net", 64, 1, 512,
         shown=(2, 256), log=True),
    Knob("growth", "Growth", "Features that each block adds to those before it.", "Net", 8, 1, 64, log=True,
         when={"architecture": ["densenet"], **MLP}),
    Knob("activation", "Activation", "The nonlinearity between layers.", "Net", "relu",
         choices=tuple((name, phi.label) for name, phi in ACTIVATIONS.items()), when=MLP),
    Knob("norm", "Normalisation", "What brings a layer's output to mean 0 and variance 1.", "Net", "none",
         choices=(("none", "none"), ("batch", "batch norm"), ("layer", "layer norm")), when=MLP),
    Knob("skip", "Skip scale", "The number by which the skip connection multiplies the block's input.", "Net", 1.0,
         -10, 10, shown=(0, 1.5), live=True, when=SCALED),
    Knob("branch", "Branch scale", "The number by which the branch is multiplied.", "Net", 0.2, -10, 10, shown=(0, 1.5),
         live=True, when=SCALED),
    Knob("gate_bias", "Gate bias", "The bias of Highway's gates: below 0 they carry the input past the block.", "Net",
         -2.0, -20, 20, shown=(-6, 3), when={"architecture": ["highway"]}),
    Knob("alpha", "α", "Where the learned number before each branch starts; at 0 every block is the identity.", "Net",
         0.0, -10, 10, shown=(0, 1), when={"architecture": ["skipinit"]}),
    Knob("s_w2", "s_w²", "Variance of the initial weights times the layer's inputs: Glorot's is 1, He's 2.", "Weights",
         2.0, 0.0, 1e6, shown=(0.1, 10), log=True, when=MLP),
    Knob("s_b2", "s_b²", "Variance of the initial biases.", "Weights", 0.0, 0.0, 1e6, shown=(0, 1), when=MLP),
    Knob("optimizer", "Optimiser", "How a gradient becomes a step.", "Training", "momentum",
         choices=(("sgd", "SGD"), ("momentum", "SGD, momentum 0.9"), ("adam", "Adam"), ("rmsprop", "RMSprop"))),
    Knob("lr", "Learning rate", "The length of a step per unit of gradient.", "Training", 0.01, *LEARNING_RATES,
         shown=(1e-5, 10), log=True, live=True),
    Knob("batch", "Batch", "Samples per step.", "Training", 64, 2, 1000, shown=(2, 256), log=True),
    Knob("data", "Data", "What the net learns to tell apart.", "Data", "spirals",
         choices=(("moons", "two moons"), ("spirals", "spirals"), ("circles", "circles"), ("digits", "digits")),
         when=MLP),
    Knob("noise", "Noise", "Standard deviation of the noise on the points.", "Data", 0.05, 0.0, 10.0, shown=(0, 0.3),
         when={"data": ["moons", "spirals", "circles"], **MLP}),
    Knob("seed", "Seed", "Of the weights, the data and the order of the batches.", "Data", 0, 0, 2**31 - 1,
         shown=(0, 20)),
)  # fmt: skip
STEPS = {"plain": (6, 2), "residual": (6, 2), "preact": (6, 2), "skipinit": (6, 2), "highway": (3, 4),
         "densenet": (3, 4)}  # fmt: skip


def fitted(setting: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The setting with what does not fit together mended, and a sentence for each change."""
    setting, said = dict(setting), []
    if setting["family"] == "conv":
        if setting["data"] != "digits":
            setting["data"] = "digits"
            said.append("A convolutional net needs images, so the data are the digits.")
        each, besides = STEPS[setting["architecture"]]
        n = max(1, round((setting["depth"] - besides) / each))
        n -= 1 if each * n + besides > 200 else 0
        if each * n + besides != setting["depth"]:
            said.append(
                f"This net has {each} n + {besides} layers, so the depth is {each * n + besides} instead of "
                f"{setting['depth']}."
            )
            setting["depth"] = each * n + besides
    if setting["norm"] == "layer" and setting["width"] < 2:
        setting["width"] = 2
        said.append("Layer norm needs two units at least, so the width is 2.")
    return setting, said
