"""The table: which work is raced, at which sizes on the processor and on a GPU, and the targets.

Whose peers they are stands beside each work: `peers` in convolutions.py, streams.py, steps.py and engine.py.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tinyres.bench import gan, gpt, r3gan, resnet
from tinyres.bench.convolutions import Shape
from tinyres.bench.race import Target

AGREE = 1e-4  # largest difference between two float32 results, as a share of the largest number
TF32_AGREE = 1e-2  # the same where factors have 10 bits

# -- convolutions ------------------------------------------------------------------------------------------------------
# Those of ResNet-20 (batch 128), of a DCGAN (batch 64), and one of ImageNet's.
SHAPES = (
    Shape(128, 3, 32, 16, 3, 1),
    Shape(128, 16, 32, 16, 3, 1),
    Shape(128, 16, 32, 32, 3, 2),
    Shape(128, 32, 16, 32, 3, 1),
    Shape(128, 64, 8, 64, 3, 1),
    Shape(64, 3, 32, 64, 4, 2),
    Shape(64, 64, 16, 128, 4, 2),
    Shape(64, 128, 8, 256, 4, 2),
    Shape(32, 64, 56, 64, 3, 1),
)
# Those of MobileNets, of ResNeXt, and of a ResNet's bottlenecks and first layer; 1 x n.
NARROW = (
    Shape(16, 32, 56, 32, 3, 1, 1, 32),
    Shape(16, 64, 56, 64, 3, 2, 1, 64),
    Shape(16, 128, 28, 128, 3, 1, 1, 128),
    Shape(16, 512, 14, 512, 3, 1, 1, 512),
    Shape(16, 512, 7, 512, 3, 1, 1, 512),
    Shape(16, 128, 28, 128, 3, 1, 1, 32),
    Shape(16, 64, 28, 64, (1, 7), 1, (0, 3)),
    Shape(16, 64, 28, 64, (7, 1), 1, (3, 0)),
    Shape(8, 256, 56, 64, 1, 1, 0),
    Shape(8, 256, 28, 512, 1, 2, 0),
    Shape(8, 1024, 14, 256, 1, 1, 0),
    Shape(2, 3, 224, 64, 7, 2, 3),
)
WIDE = tuple(Shape(32, c, 56, c, 3, 1) for c in (128, 256))
POINTWISE = tuple(Shape(32, c, 56, c, 1, 1, 0) for c in (64, 128, 256))
FAMILIES = {"performance.md": SHAPES, "56x56": WIDE, "1x1": POINTWISE}  # a GPU's; the processor's are SHAPES
MEAN, WORST = Target(0.8, 0.7), Target(1.15, 1.0)  # ours / PyTorch's
NARROW_MEAN, NARROW_WORST = Target(1.0, 0.8), Target(1.5, 1.1)
PEAK = Target(65, 85, at_least=True)  # per cent of the FMA peak
ERROR = Target(2.0)  # of float32, ours / PyTorch's
CUDNN = Target(0.6, 1.0, at_least=True)  # on a GPU: our rate / cuDNN's

# -- what streams memory -----------------------------------------------------------------------------------------------
STREAMED = Target(1.1, 0.9)  # the worst of ours / PyTorch's
# The processor's images are what ResNet-20's first stage hands from layer to layer.
STREAMS: dict[str, dict[str, Any]] = {
    "cpu": {"images": (128, 32, 32, 16), "parameters": 1_000_000, "rows": 4096},
    "cuda": {"images": (1024, 32, 32, 16), "parameters": 20_000_000, "rows": 65_536},
}


# -- training steps ----------------------------------------------------------------------------------------------------
class Net(NamedTuple):
    """batches: of each device, the first one being what `tinyres bench` takes. losses: what a step gives, and by how
    much peers may differ there in their first step. targets: time, ours / that of the peers whose names begin so.
    memory: peak, ours / PyTorch's."""

    module: Any
    title: str
    batches: dict[str, tuple[int, ...]]
    losses: dict[str, float]
    targets: dict[str, Target]
    memory: Target = Target(0.7, 0.5)


COMPILED = "torch.compile, channels last"
NETS = {
    "resnet": Net(
        resnet, "ResNet-20, batch {}, 3x32x32: a full training step", {"cpu": (128,), "cuda": (1024, 128)},
        {"loss": 1e-4}, {"PyTorch": Target(0.85, 0.6), "torch.compile": Target(0.95, 0.7)},
    ),
    # Adam's first step is +-lr, and where a gradient is a rounding error its sign is chance: the second player's loss
    # comes after it, and may differ more.
    "gan": Net(
        gan, "DCGAN, batch {}, 3x32x32: one step of each player", {"cpu": (64,), "cuda": (64, 512)},
        {"loss of the discriminator": 1e-4, "loss of the generator": 1e-2}, {"PyTorch": Target(0.8, 0.65)},
    ),
    "r3gan": Net(
        r3gan, "R3GAN, batch {}, 3x32x32: one step of each player, with R1 + R2", {"cpu": (64,), "cuda": ()},
        {"loss of the discriminator": 1e-4, "loss of the generator": 1e-2}, {"PyTorch": Target(1.0, 0.8)},
        Target(0.8),
    ),
    "gpt": Net(
        gpt, "GPT, 4 blocks of width 128, batch {} of 64 symbols: a full training step", {"cpu": (32,), "cuda": ()},
        {"loss": 1e-4}, {"PyTorch": Target(1.0, 0.8)},
    ),
}  # fmt: skip
TF32_LOSSES = 2e-2
ON_CUDA = Target(1.0)  # ResNet-20's step on a GPU, ours / PyTorch's

# -- the tape, and what fresh processes tell ---------------------------------------------------------------------------
ENGINE = {"PyTorch": Target(0.75, 0.6), "NumPy by hand": Target(1.4, 1.25)}
COLD, WARM = Target(12, 6), Target(1.5, 1)  # seconds until the first step, with an empty kernel cache and a filled one
RANKS, SYNC_RANKS = Target(1.6, 1.8, at_least=True), Target(1.3, at_least=True)  # throughput of two / of one process
