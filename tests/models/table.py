"""The models at a size that takes milliseconds, and what is known of them; a model needs at least one row.

`test_models.py` asks the same of every row: shapes, gradients, routes, seeds, parameters, and what is refused.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import tinyres as tr
from tinyres import models

Shapes = Callable[[int], tuple[tuple[int, ...], tuple[int, ...]]]
NO_MODELS = {models.swap_activation, models.from_pytorch, models.from_torchvision}
TEXT = {models.gpt}  # reads no images: `test_gpt.py`


class Row(NamedTuple):
    """A model or one of its variants. Published numbers have their source beside them."""

    of: Callable[..., Any]
    options: dict[str, Any]  # that make it small
    shapes: Shapes  # size of an image -> shapes of a sample and of what the model makes of it
    sizes: tuple[int, ...] = (8, 28, 32)
    sized: bool = False  # the constructor is told the size
    layers: int = 0  # convolutions and linear layers, those of shortcuts and gates included
    routes: int = 0  # sums of a skip and a branch
    shut: bool = False  # layers that begin at 0 let no gradient pass
    unlimited: bool = False  # a generator without tanh
    counts: Sequence[tuple[dict[str, Any], int | str]] = ()  # of parameters: exact, or rounded as in "1.7 M"
    depths: str = ""  # how an error describes the depths that exist
    nearest: Sequence[tuple[int, int]] = ()  # a depth that does not exist, and the one that the error recommends
    refused: Sequence[tuple[str, dict[str, Any]]] = ()  # a pattern of the error, and options
    unfit: Sequence[tuple[str, tuple[int, ...]]] = ()  # a pattern of the error, and a batch for the first size

    def make(self, size: int | None = None, rng: int = 0) -> Any:
        size = self.sizes[0] if size is None else size
        return self.of(**self.options, **({"size": size} if self.sized else {}), rng=rng)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


def samples(*shape: int, seed: int = 0) -> tr.Tensor:
    return tr.tensor(normal(*shape, seed=seed))


def makers() -> set[Callable[..., Any]]:
    """Every constructor that `tinyres.models` offers."""
    public = [getattr(models, name) for name in models.__all__]
    players = [{module.generator, module.discriminator} for module in filter(inspect.ismodule, public)]
    return {value for value in public if inspect.isfunction(value)}.union(*players) - NO_MODELS - TEXT


def row(of: Callable[..., Any], shapes: Shapes, **more: Any) -> Row:
    """What is no column of the table is an option of the model."""
    columns = {name: more.pop(name) for name in Row._fields if name in more}
    return Row(of, more, shapes, **columns)


def classifier(of: Callable[..., Any], depth: int, width: int, **more: Any) -> Row:
    options = {"depth": depth, "width": width, "in_channels": 1, "classes": 7}
    return row(of, lambda size: ((1, size, size), (7,)), **options, **more)


def generator(of: Callable[..., Any], width: int = 4, **more: Any) -> Row:
    return row(of, lambda size: ((5,), (2, size, size)), latent=5, width=width, channels=2, **more)


def discriminator(of: Callable[..., Any], width: int = 4, **more: Any) -> Row:
    return row(of, lambda size: ((2, size, size), (1,)), width=width, channels=2, **more)


def parameters(published: int | str, **options: Any) -> tuple[dict[str, Any], int | str]:
    return options, published


SIX = {"depths": "6 n + 2 with n >= 1 (8, 14, 20, ...)", "nearest": [(-4, 8), (0, 8), (2, 8), (18, 20), (21, 20)]}
FIXED = [(r"needs images of shape \(N, 1, 8, 8\), got \(2, 1, 28, 28\)", (2, 1, 28, 28))]

CLASSIFIERS = {
    "plain": classifier(models.plain, 14, 4, layers=14, **SIX),
    "resnet": classifier(
        models.resnet, 14, 4, layers=14, routes=6, **SIX,
        counts=[  # He et al. 2016 [he2016deep], table 6
            parameters(millions, depth=depth)
            for depth, millions in {20: "0.27 M", 32: "0.46 M", 44: "0.66 M", 56: "0.85 M", 110: "1.7 M"}.items()
        ],
        refused=[
            (r"shortcut must be 'A'.*got 'D'", {"shortcut": "D"}),
            (
                "two_sided says where the zeros of shortcut 'A' come, and 'B' has none",
                {"shortcut": "B", "two_sided": True},
            ),
        ],
    ),
    **{
        f"resnet, shortcut {shortcut}": classifier(models.resnet, 8, 4, shortcut=shortcut, layers=8 + more, routes=3)
        for shortcut, more in {"B": 2, "C": 3, "conv": 3}.items()
    },
    "preact": classifier(
        models.preact, 14, 4, layers=14, routes=6, **SIX,
        # He et al. 2016 [he2016identity], table 4: 1.7 million for ResNet-110 and ResNet-164
        counts=[parameters(1_727_962, depth=110), parameters(1_703_258, depth=164, bottleneck=True)],
    ),
    "preact, bottleneck": classifier(
        models.preact, 20, 4, bottleneck=True, layers=20 + 3, routes=6,
        depths="9 n + 2 with n >= 1 (11, 20, 29, ...)", nearest=[(0, 11), (163, 164)],
    ),
    "highway": classifier(
        models.highway, 10, 4, layers=10 + 6, routes=6,
        depths="3 n + 4 with n >= 1 (7, 10, 13, ...)", nearest=[(0, 7), (20, 19), (21, 22)],
    ),
    "highway_mlp": classifier(
        models.highway_mlp, 7, 4, sized=True, layers=7 + 5, routes=5,
        depths="n + 2 with n >= 1 (3, 4, 5, ...)", nearest=[(2, 3)],
        unfit=FIXED,
    ),
    "densenet": classifier(
        models.densenet, 10, 4, layers=10, depths="3 n + 4 with n >= 1 (7, 10, 13, ...)", nearest=[(0, 7)],
        counts=[  # Huang et al. 2017 [huang2017densely], table 2
            parameters("1.0 M", depth=40, width=12),
            parameters("7.0 M", depth=100, width=12),
            parameters("0.8 M", depth=100, width=12, bottleneck=True),
            parameters("15.3 M", depth=250, width=24, bottleneck=True),
            parameters("25.6 M", depth=190, width=40, bottleneck=True),
        ],
    ),
    "densenet, bottleneck": classifier(
        models.densenet, 16, 4, bottleneck=True, layers=16,
        depths="6 n + 4 with n >= 1 (10, 16, 22, ...)", nearest=[(99, 100)],
    ),
    "senet": classifier(models.senet, 14, 8, reduction=2, layers=14 + 12, routes=6, **SIX),
    "skipinit": classifier(
        models.skipinit, 14, 4, layers=14, routes=6, shut=True, **SIX,
        refused=[(r"alpha must be a number or '1/sqrt\(L\)', got 'half'", {"alpha": "half"})],
    ),
    "fixup": classifier(models.fixup, 14, 4, layers=14, routes=6, shut=True, **SIX),
    "stochastic_depth": classifier(
        models.stochastic_depth, 14, 4, survival=1.0, layers=14, routes=6, **SIX,
        refused=[("survival must be a number from 0 to 1", {"survival": -0.1})],
    ),
    "cnn": classifier(
        models.cnn, 4, 4, sizes=(8, 4, 28, 30, 32), sized=True, layers=4,
        # of many MNIST tutorials: 5·5·32 + 32, 5·5·32·64 + 64, 7·7·64·1024 + 1024, 1024·10 + 10
        counts=[parameters(832 + 51_264 + 3_212_288 + 10_250, in_channels=1, size=28)],
        refused=[
            *((f"cnn: depth must be 4 .* got {depth}", {"depth": depth}) for depth in (0, 3, 5)),
            (r"size must be at least 4, .* got 3", {"size": 3}),
        ],
        unfit=FIXED,
    ),
    "mlp": classifier(
        models.mlp, 6, 16, sized=True, layers=6, depths="n + 2 with n >= 1 (3, 4, 5, ...)", nearest=[(0, 3)],
        refused=[("weight_variance must be at least 0, got -1", {"weight_variance": -1})],
        unfit=FIXED,
    ),
    "mlp, residual": classifier(
        models.mlp, 6, 16, residual=True, sized=True, layers=6, routes=2,
        depths="2 n + 2 with n >= 1 (4, 6, 8, ...)", nearest=[(7, 6)],
    ),
    "mlp, variances": classifier(models.mlp, 6, 16, weight_variance=1.5, bias_variance=0.1, sized=True, layers=6),
    "vit": classifier(
        models.vit, 2, 8, sized=True, layers=8, routes=4, depths="n with n >= 1 (1, 2, 3, ...)", nearest=[(0, 1)],
        # a convolution 3·16²·768 + 768, 197 - 1 positions, 12 blocks, a norm and a head; ViT-B/16 of the paper has a
        # token and a place for the class as well: 86,567,656 in torchvision's table of models
        counts=[
            parameters(86_567_656 - 2 * 768, depth=12, width=768, heads=12, size=224, patch=16, classes=1000),
        ],
        refused=[
            ("patches cut the image evenly, got size=8 and patch=3", {"patch": 3}),
            ("the heads share the width evenly, got width=8 and heads=3", {"heads": 3}),
            ("norm must be one of pre, post, peri, lns, deep, got 'x'", {"norm": "x"}),
        ],
        unfit=FIXED,
    ),
    **{
        f"vit, {norm}": classifier(models.vit, 2, 8, norm=norm, sized=True, sizes=(8,), layers=8, routes=4)
        for norm in ("post", "peri", "lns", "deep")
    },
    "resnet_imagenet 18": classifier(
        models.resnet_imagenet, 18, 4, layers=18 + 3, routes=8,
        depths="one of 18, 34, 50, 101, 152", nearest=[(0, 18), (51, 50)],
        # torchvision's table of models, "num_params": resnet18 ... resnet152. He et al. 2016 [he2016deep] count none.
        counts=[
            parameters(11_689_512, depth=18), parameters(21_797_672, depth=34), parameters(25_557_032, depth=50),
            parameters(44_549_160, depth=101), parameters(60_192_808, depth=152),
        ],
    ),
    "resnet_imagenet 50": classifier(models.resnet_imagenet, 50, 4, layers=50 + 4, routes=16),
    "resnet_imagenet 50, reduction": classifier(
        # with reduction 4 a gate has one hidden unit, which may be dead (one was, in evaluation)
        models.resnet_imagenet, 50, 4, reduction=1, layers=50 + 4 + 32, routes=16,
        # Hu et al. 2018 [hu2018squeeze], section 4: about 2.5 M beyond the 25 M of ResNet-50; to the last digit, timm's
        # seresnet50
        counts=[parameters(28_088_024, depth=50, reduction=16)],
    ),
    "densenet_imagenet": classifier(
        models.densenet_imagenet, 121, 4, sizes=(32,), layers=121,
        depths="one of 121, 161, 169, 201", nearest=[(0, 121)],
        counts=[  # torchvision's table of models, "num_params": densenet121, 161, 169, 201
            parameters(7_978_856, depth=121), parameters(28_681_000, depth=161, width=48),
            parameters(14_149_480, depth=169), parameters(20_013_928, depth=201),
        ],
    ),
}  # fmt: skip

# -- everything else --------------------------------------------------------------------------------------------------
HALVINGS = {8: 2, 28: 2, 32: 3, 64: 4}  # of an image of this size, in the players that know several
NORMS = ("batch", "layer", "none")
NO_NORM = [("norm must be one of batch, layer, none, got 'group'", {"norm": "group"})]
R3GAN_STAGES = {8: 2, 16: 3, 28: 3, 32: 4}
R3GAN_REFUSED = [
    ("r3gan: size must be that of images of 8x8, 16x16, 28x28, 32x32 pixels, got size=64", {"size": 64}),
    ("width must be a multiple of 8, got 12", {"width": 12}),
]
ONE_LAYER = {"depths": "n + 1 with n >= 1 (2, 3, 4, ...)", "nearest": [(1, 2)]}


def players(name: str, module: Any, layers: dict[int, int], routes: dict[int, int]) -> dict[str, Row]:
    """The two of `dcgan` or `resgan` at every size, the discriminator with every norm."""
    sizes = [(f"{name}: size must be that of images of 8x8, 28x28, 32x32, 64x64 pixels, got size=16", {"size": 16})]
    found = {}
    for size in HALVINGS:
        known = {
            "sizes": (size,),
            "sized": True,
            "layers": layers[size],
            "routes": routes.get(size, 0),
            "refused": sizes,
        }
        short = [("must have 5 entries, got shape", (2, 4))]
        found[f"{name}.generator, {size} pixels"] = generator(module.generator, **known, unfit=short)
        other = rf"needs samples of shape \(N, 2, {size}, {size}\), got \(2, 3, 9, 9\); real samples and fakes must"
        for norm in NORMS:
            found[f"{name}.discriminator, {size} pixels, {norm} norm"] = discriminator(
                module.discriminator, norm=norm, **known | {"refused": sizes + NO_NORM}, unfit=[(other, (2, 3, 9, 9))]
            )
    return found


OTHERS = {
    "dncnn": row(
        models.dncnn, lambda size: ((1, size, size), (1, size, size)), depth=5, width=8, layers=5, routes=1,
        depths="n + 2 with n >= 1 (3, 4, 5, ...)", nearest=[(0, 3)],
        # counted from the authors' PyTorch code (cszn/DnCNN, TrainingCodes/dncnn_pytorch), whose first convolution
        # alone has a bias: 9·64·c + 64, then (depth - 2) (9·64·64 + 2·64), then 9·64·c
        counts=[
            parameters(556_096, depth=17), parameters(667_072, depth=20), parameters(669_376, depth=20, in_channels=3)
        ],
    ),
    **players("dcgan", models.dcgan, {size: 1 + n for size, n in HALVINGS.items()}, {}),
    **players("resgan", models.resgan, {size: 1 + 3 * n for size, n in HALVINGS.items()}, HALVINGS),
    **{
        f"r3gan.generator, {size} pixels": generator(
            models.r3gan.generator, width=8, sizes=(size,), sized=True, layers=2 + 6 * stages, routes=2 * stages,
            shut=True, unlimited=True, refused=R3GAN_REFUSED, unfit=[("must have 5 entries, got shape", (2, 4))],
        )
        for size, stages in R3GAN_STAGES.items()
    },
    **{
        f"r3gan.discriminator, {size} pixels": discriminator(
            models.r3gan.discriminator, width=8, sizes=(size,), sized=True, layers=3 + 6 * stages, routes=2 * stages,
            shut=True, refused=[*R3GAN_REFUSED, ("norm must be 'none', got 'batch'", {"norm": "batch"})],
            unfit=[(rf"needs samples of shape \(N, 2, {size}, {size}\), got \(2, 3, 9, 9\)", (2, 3, 9, 9))],
        )
        for size, stages in R3GAN_STAGES.items()
    },
    "gan64.generator": generator(models.gan64.generator, hidden=16, sizes=(64,), layers=6),
    **{
        f"gan64.discriminator, {norm} norm": discriminator(
            models.gan64.discriminator, norm=norm, sizes=(64,), layers=5,
            unfit=[(r"shape \(N, 2, 64, 64\), got \(2, 2, 32, 32\)", (2, 2, 32, 32))],
        )
        for norm in NORMS
    },
    "mlp_generator": row(
        models.mlp_generator, lambda _: ((3,), (2,)), latent=3, width=8, depth=4, out=2, sizes=(0,), layers=4,
        **ONE_LAYER, unfit=[("last axis of x must have 3 entries", (4, 2))],
    ),
    **{
        f"mlp_discriminator, {norm} norm": row(
            models.mlp_discriminator, lambda _: ((2,), (1,)), width=8, depth=4, inputs=2, norm=norm, sizes=(0,),
            layers=4, **ONE_LAYER, refused=NO_NORM, unfit=[(r"shape \(N, 2\), got \(4, 3\)", (4, 3))],
        )
        for norm in NORMS
    },
}  # fmt: skip

ROWS: dict[str, Row] = CLASSIFIERS | OTHERS
