"""GANRecipe: everything that decides a GAN's run, as plain values; the methods of the papers are presets."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from typing import Any, get_type_hints

from tinyres import models
from tinyres.gan.data import SHAPES
from tinyres.gan.losses import LOSSES
from tinyres.gan.penalties import PENALTIES
from tinyres.training.recipe import check_data, short
from tinyres.training.validation import check_types

NORMS = ("batch", "layer", "none")
_ADAM = {"lr_g": 2e-4, "lr_d": 2e-4, "beta1": 0.5, "beta2": 0.999}  # Radford et al. 2016 [radford2016unsupervised]

# What a method is besides its loss, with its authors' settings. `norm` is the discriminator's: batch norm couples the
# samples, so it cannot stand under a penalty on each sample's gradient, and spectral norm takes its place.
METHODS: dict[str, dict[str, Any]] = {
    "saturating": _ADAM | {"loss": "saturating", "norm": "batch"},  # Goodfellow et al. 2014 [goodfellow2014generative]
    "nonsaturating": _ADAM | {"loss": "nonsaturating", "norm": "batch"},  # the same
    "least_squares": _ADAM | {"loss": "least_squares", "norm": "batch"},  # Mao et al. 2017 [mao2017least]
    "hinge": _ADAM | {"loss": "hinge", "norm": "batch"},  # Lim & Ye 2017 [lim2017geometric]
    # Miyato et al. 2018 [miyato2018spectral], with the two rates of Heusel et al. 2017 [heusel2017gans] in the place of
    # five steps of D per step of G
    "sn_hinge": {
        "loss": "hinge", "norm": "none", "spectral_norm": True, "lr_g": 1e-4, "lr_d": 4e-4, "beta1": 0.0, "beta2": 0.9,
    },
    # Arjovsky et al. 2017 [arjovsky2017wasserstein]; their RMSprop is Adam without its first moment
    "wgan": {
        "loss": "wasserstein", "norm": "batch", "clip": 0.01, "d_steps": 5,
        "lr_g": 5e-5, "lr_d": 5e-5, "beta1": 0.0, "beta2": 0.99,
    },
    # Gulrajani et al. 2017 [gulrajani2017improved]
    "wgan_gp": {
        "loss": "wasserstein", "norm": "layer", "penalty": "gp", "penalty_weight": 10.0, "d_steps": 5,
        "lr_g": 1e-4, "lr_d": 1e-4, "beta1": 0.0, "beta2": 0.9,
    },
    # Mescheder et al. 2018 [mescheder2018which]
    "r1": {
        "loss": "nonsaturating", "norm": "none", "penalty": "r1", "penalty_weight": 10.0,
        "lr_g": 1e-4, "lr_d": 1e-4, "beta1": 0.0, "beta2": 0.99,
    },
    # Huang et al. 2024 [huang2024gan], with their rates, betas and shares, and gamma as on stacked MNIST. That half of
    # the run is the burn-in is ours. On images, its players are models.r3gan's.
    "r3gan": {
        "loss": "relativistic", "norm": "none", "penalty": "r1r2", "penalty_weight": 1.0,
        "lr_g": 2e-4, "lr_d": 2e-4, "beta1": 0.0, "beta2": 0.9,
        "burn_in": 0.5, "lr_end": 0.25, "penalty_end": 0.1, "beta2_end": 0.99, "ema_rises": True,
    },
    # Kodali et al. 2017 [kodali2017convergence]
    "dragan": _ADAM | {"loss": "nonsaturating", "norm": "none", "penalty": "dragan", "penalty_weight": 10.0},
}  # fmt: skip

WEIGHT = 10.0  # of a penalty added to a method that has none: the weight in WGAN-GP, DRAGAN and R1
METHOD = "sn_hinge"  # the default: its samples came nearest to the digits

_POINTS = {"arch": "mlp", "latent": 2, "width": 128, "batch_size": 256, "steps": 5000}
# A guess: where these were written, no such data could be downloaded and no run be measured.
_IMAGES = {"arch": "dcgan", "latent": 100, "width": 64, "batch_size": 64, "steps": 20000}
DEFAULTS: dict[str, dict[str, Any]] = {
    "digits": {"arch": "dcgan", "latent": 32, "width": 32, "batch_size": 64, "steps": 4000},
    "ring8": _POINTS,
    "grid25": _POINTS | {"steps": 10000},
    "stacked-digits": {"arch": "dcgan", "latent": 64, "width": 32, "batch_size": 64, "steps": 4000},
    "stacked-mnist": _IMAGES,
    "mnist": _IMAGES,
    "fashion-mnist": _IMAGES,
    "cifar10": _IMAGES,
}
# R3GAN's, chosen after its authors' had failed here: 527, 589 and 666 of the 1,000 stacked digits after 2,500 steps.
# Theirs are for 768 channels and very long runs. Adam moves each weight by about the rate, and so the output of a
# layer by the rate times its width: with 32 channels G stayed near the linear map that it starts as. And while rates
# and penalty fell, D left it behind; here neither falls. See tutorial 20.
_NARROW = {"lr_g": 1e-3, "lr_d": 1e-3, "lr_end": 1.0, "penalty_end": 1.0}
# Where the papers' settings, made for large images and long runs, were found too slow: what a method is on a data set.
TUNED: dict[tuple[str, str], dict[str, Any]] = {
    ("wgan_gp", "digits"): {"norm": "none", "d_steps": 3, "lr_g": 4e-4, "lr_d": 4e-4, "steps": 2000},
    ("r1", "digits"): {"lr_g": 2e-4, "lr_d": 2e-4},
    ("r3gan", "digits"): _NARROW | {"steps": 1500},
    ("r3gan", "stacked-digits"): _NARROW | {"steps": 5000},
}


@dataclass(frozen=True)
class GANRecipe:
    """What decides a run completely: the same recipe gives the same weights, bit for bit, on the same machine.

    With another number of threads, or on another kind of processor, sums round differently, see `training.machine`.

    `GANRecipe.of` fills in the settings of a method and a data set.

    Attributes:
        data: a name of `gan.data.SHAPES`; or the path of your own images, a folder or an .npz file.
        image_size: what images of your own are brought to; None: as they are.
        arch: a name of `models.PLAYERS`.
        method: the preset that the values come from, a name of `METHODS`.
        loss: a name of `LOSSES`.
        penalty: on the discriminator's gradient, a name of `PENALTIES` or "none", times penalty_weight.
        penalty_every: add it in every k-th step of D only, times k.
        burn_in: the share of the steps in which, along half a cosine, both rates fall to lr_end of what they are, the
            penalty's weight to penalty_end of its own, beta2 goes to beta2_end (None: stays), and with ema_rises the
            average's half-life comes from 0; 0: nothing changes.
        clip: bound on every weight of D after each of its steps; 0: none.
        spectral_norm: divide every weight of D by its spectral norm.
        instance_noise: standard deviation of the noise on all that D sees, falling linearly to 0 at the run's end.
        d_steps: steps of D per step of G.
        steps: of the generator.
        lr_g, lr_d, beta1, beta2: of the two Adams.
        latent: numbers in a noise vector, from N(0, 1).
        width: of both players.
        ema: decay of the averaged generator that samples are drawn from; 0: no average.
        norm: what normalises inside D: "batch", "layer" or "none".
        conditional: both players are told the class of a sample, see `models.ProjectionCritic`.
        seed: of the weights, the order of the batches and all that is drawn.
        image, data_hash: of your own images, their shape ("3x64x64") and the hash of their files; `prepare` notes both.
        classes: of conditional players, how many there are; `prepare` notes it.

    Raises:
        ValueError: a name that does not exist, a number out of its range.
    """

    data: str = "digits"
    arch: str = "dcgan"
    method: str = "nonsaturating"
    loss: str = "nonsaturating"
    penalty: str = "none"
    penalty_weight: float = 0.0
    penalty_every: int = 1
    burn_in: float = 0.0
    lr_end: float = 1.0
    penalty_end: float = 1.0
    beta2_end: float | None = None
    ema_rises: bool = False
    clip: float = 0.0
    spectral_norm: bool = False
    instance_noise: float = 0.0
    d_steps: int = 1
    batch_size: int = 64
    steps: int = 3000
    lr_g: float = 2e-4
    lr_d: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    latent: int = 32
    width: int = 32
    ema: float = 0.99
    norm: str = "batch"
    seed: int = 0
    image_size: int | None = None
    image: str = ""
    data_hash: str = ""
    conditional: bool = False
    classes: int = 0

    def __post_init__(self) -> None:
        check_types(self, FIELDS)
        check_data(self, SHAPES)
        for name, names in (
            ("arch", models.PLAYERS), ("method", METHODS), ("loss", LOSSES),
            ("penalty", ["none", *PENALTIES]), ("norm", NORMS),
        ):  # fmt: skip
            value = getattr(self, name)
            if value not in names:
                raise ValueError(f"no {name} called {value!r}; there are {', '.join(names)}")
        for name in ("d_steps", "batch_size", "steps", "latent", "width", "penalty_every"):
            _within(name, getattr(self, name), 1)
        for name in ("seed", "lr_g", "lr_d", "instance_noise", "penalty_weight", "clip", "lr_end", "penalty_end"):
            _within(name, getattr(self, name), 0)
        for name in ("beta1", "beta2", "ema"):
            _within(name, getattr(self, name), 0, below=1)
        _within("beta2_end", self.beta2_end or 0, 0, below=1)
        if self.classes and (self.classes < 2 or not self.conditional):
            raise ValueError(
                f"classes {self.classes} with conditional {self.conditional}: conditional players need at least two "
                "classes, others none"
            )
        if not 0 <= self.burn_in <= 1:
            raise ValueError(f"burn_in is a share of the steps and must be in [0, 1], got {self.burn_in}")

    @classmethod
    def of(cls, method: str = METHOD, data: str = "digits", **explicit: Any) -> GANRecipe:
        """The recipe of a method on a data set: explicit values win over the method's, and those over the data set's.

        A method has its authors' settings but where they were found wanting: WGAN-GP and R1 on digits, and R3GAN on
        digits and stacked digits. These were chosen after a failure was seen.

        None leaves a value to the method and the data set. A penalty that is added to a method without one has
        the weight 10, as in each of their papers.

        Raises:
            ValueError: besides what the recipe itself refuses, a penalty_weight without a penalty.
        """
        chosen = (
            DEFAULTS.get(data, _IMAGES if data not in SHAPES else {})
            | METHODS.get(method, {})
            | TUNED.get((method, data), {})
        )
        if method == "r3gan" and chosen.get("arch", "dcgan") != "mlp":
            chosen["arch"] = "r3gan"
        chosen |= {name: value for name, value in explicit.items() if value is not None}
        if chosen.get("penalty", "none") != "none":
            chosen.setdefault("penalty_weight", WEIGHT)
        elif explicit.get("penalty_weight"):
            raise ValueError(
                f"penalty_weight {explicit['penalty_weight']:g}: {method} has no penalty; name one as well"
            )
        return cls(data=data, method=method, **chosen)

    @property
    def title(self) -> str:
        """Such as "sn_hinge on digits", or "conditional sn_hinge on digits"."""
        return f"{'conditional ' * self.conditional}{self.method} on {short(self.data)}"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample. A ValueError if it is your own and not known yet: `prepare` reads it."""
        if self.data not in SHAPES and not re.fullmatch("[13]x[1-9][0-9]{0,4}x[1-9][0-9]{0,4}", self.image):
            raise ValueError(f"the images in {self.data} have not been read yet, so their shape is not known")
        return SHAPES[self.data] if self.data in SHAPES else tuple(map(int, self.image.split("x")))

    def describe(self) -> str:
        """The title, and every setting that is not the method's and the data set's own."""
        plain = replace(GANRecipe.of(self.method, self.data), image=self.image, data_hash=self.data_hash)
        changed = replace(self, classes=0).differs_from(plain)
        return ", ".join([self.title, *(f"{name} {value}" for name, (value, _) in changed.items())])

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return asdict(self)

    def differs_from(self, other: GANRecipe) -> dict[str, tuple[Any, Any]]:
        """The fields that differ, as {field: (here, there)}."""
        mine, theirs = asdict(self), asdict(other)
        return {name: (mine[name], theirs[name]) for name in mine if mine[name] != theirs[name]}


FIELDS = get_type_hints(GANRecipe)  # {name: type}, in the order of the declaration


def _within(name: str, value: float, least: float, below: float = float("inf")) -> None:
    if not least <= value < below:
        limit = f" and below {below}" if below < float("inf") else ""
        raise ValueError(f"{name} must be at least {least}{limit}, got {value}")
