"""Recipe: everything that decides a training run, as plain values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import PurePath
from typing import Any, TypeVar, get_type_hints

from tinyres_kernels.command_line import missing

from tinyres import data, models, nn, optim
from tinyres.training.validation import check_types

R = TypeVar("R", bound=Any)

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "linear": nn.Identity, "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU, "gelu": nn.GELU, "silu": nn.SiLU, "softplus": nn.Softplus,
}  # fmt: skip
INITIALISATIONS = ("default", "kaiming_normal", "xavier_normal", "orthogonal")
OPTIMIZERS: dict[str, type[optim.Optimizer]] = {"sgd": optim.SGD, "adam": optim.Adam, "adamw": optim.AdamW}
SCHEDULES = ("constant", "step", "cosine")
RATE, ADAM_RATE = 0.1, 1e-3  # of nets that normalise, or start as if they did; of Adam, for any net
RATES = {"mlp": 0.01, "cnn": 0.01, "highway_mlp": 0.03}  # without normalisation, 0.1 diverges on few images


@dataclass(frozen=True)
class Recipe:
    """What decides a run completely: the same recipe gives the same weights, bit for bit, on the same machine.

    With another number of threads, or on another kind of processor, sums round differently, see `training.machine`.

    Attributes:
        arch: a name of `models.CLASSIFIERS`, or, for text, of `models.READERS`.
        data: a name of `data.BY_NAME`; or the path of your own, a folder of images or an .npz file (`data.load`).
            For text, "text:" and what `data.text` takes, such as a file.
        context: of a model of text: the most characters that it looks at.
        image_size: what images of your own are brought to; None: as they are.
        data_hash: of the files of your own data; `prepare` notes it here, and refuses others.
        depth, width: of the architecture; None: its own default.
        activation: what replaces every ReLU: a name of `ACTIVATIONS`.
        init: how weights start: a name of `INITIALISATIONS`, "default" being the architecture's own; or a number s_w²
            (as text) for N(0, s_w² / fan_in).
        epochs: passes through the training set; steps, if given, counts batches instead.
        lr: the highest learning rate; None: 0.1, or less for a net without normalisation (`RATES`), or 0.001 with Adam;
            the recipe then has that number.
        schedule: "constant", "step" (a tenth after 1/2 and after 3/4 of the run) or "cosine" (to 0 at its end).
        warmup: the share of the run over which the rate rises linearly to lr.
        augment: pad-and-crop, and where mirror images make sense a random flip; None: for cifar10 only.
        seed: of the split (digits), the weights, the order of the batches and all that is drawn.

    Raises:
        ValueError: a name that does not exist, a number out of its range.
    """

    arch: str = "resnet"
    data: str = "digits"
    depth: int | None = None
    width: int | None = None
    activation: str = "relu"
    init: str = "default"
    epochs: int = 20
    steps: int | None = None
    batch_size: int = 64
    optimizer: str = "sgd"
    lr: float = None  # type: ignore[assignment]  # `__post_init__` puts the default in its place
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: str = "cosine"
    warmup: float = 0.0
    augment: bool | None = None
    seed: int = 0
    image_size: int | None = None
    data_hash: str = ""
    context: int = 64

    def __post_init__(self) -> None:
        if self.lr is None:
            object.__setattr__(self, "lr", default_rate(str(self.arch), self.optimizer))
        check_types(self, FIELDS)
        if data.is_text(self.data):
            object.__setattr__(self, "data", data.named_text(self.data))
        else:
            check_data(self, data.BY_NAME)
        for name, known in (
            ("arch", [*models.CLASSIFIERS, *models.READERS]), ("activation", ACTIVATIONS),
            ("optimizer", OPTIMIZERS), ("schedule", SCHEDULES),
        ):  # fmt: skip
            _one_of(name, getattr(self, name), known)
        check_kind(self.arch, self.data)
        if self.weight_variance is None:
            _one_of("init", self.init, [*INITIALISATIONS, "a number s_w²"])
        least = {
            "width": 1,
            "epochs": 1,
            "steps": 1,
            "batch_size": 1,
            "seed": 0,
            "context": 1,
            "lr": 0,
            "momentum": 0,
            "weight_decay": 0,
        }
        for name, low in least.items():
            value = getattr(self, name)
            if value is not None and not value >= low:
                raise ValueError(f"{name} must be at least {low}, got {value}")
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup is a share of the run: at least 0 and below 1, got {self.warmup}")

    @property
    def weight_variance(self) -> float | None:
        """s_w² where `init` is a number."""
        try:
            value = float(self.init)
        except ValueError:
            return None
        if not 0 <= value < float("inf"):
            raise ValueError(f"init: s_w² must be at least 0 and finite, got {self.init}")
        return value

    @property
    def title(self) -> str:
        """Such as "resnet on digits"."""
        return f"{self.arch} on {short(self.data)}"

    def describe(self) -> str:
        """The title, and every setting that is not the default."""
        changed = self.differs_from(Recipe(arch=self.arch, data=self.data, data_hash=self.data_hash))
        return ", ".join([self.title, *(f"{name} {value}" for name, (value, _) in changed.items())])

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return asdict(self)

    def differs_from(self, other: Recipe) -> dict[str, tuple[Any, Any]]:
        """The fields that differ, as {field: (here, there)}."""
        mine, theirs = asdict(self), asdict(other)
        return {name: (mine[name], theirs[name]) for name in mine if mine[name] != theirs[name]}


FIELDS = get_type_hints(Recipe)  # {name: type}, in the order of the declaration


def default_rate(arch: str, optimizer: str) -> float:
    """The learning rate of a recipe that names none."""
    return RATES.get(arch, RATE) if optimizer == "sgd" else ADAM_RATE


def check_data(recipe: Any, names: Iterable[str]) -> None:
    """Check a recipe's data and image_size; a path becomes an absolute one.

    Raises:
        ValueError: there is no such data set, or image_size is for data that are not your own, or below 1.
    """
    object.__setattr__(recipe, "data", data.named(recipe.data, names, "data"))
    if recipe.image_size is not None and not (data.is_own(recipe.data) and recipe.image_size >= 1):
        own = f"is for images of your own; {recipe.data} has a size of its own"
        what = "must be at least 1" if data.is_own(recipe.data) else own
        raise ValueError(f"image_size {recipe.image_size}: it {what}")


def check_kind(arch: str, name: str) -> None:
    """Raises ValueError where a classifier of images is given text, or a model of text images."""
    if data.is_text(name) and arch not in models.READERS:
        raise ValueError(f"{arch} sorts images and cannot read {name}; {' or '.join(models.READERS)} can")
    if not data.is_text(name) and arch in models.READERS:
        raise ValueError(
            f"{arch} reads text, and {name} are images; give the data text:FILE, text:topics or text:source"
        )


def short(name: str) -> str:
    """A data set's name; of your own, the name of the folder or the file, without .npz."""
    if data.is_text(name):
        return PurePath(name.removeprefix("text:")).name
    return PurePath(name).name.removesuffix(".npz") if data.is_own(name) else name


def same_data(recipe: R, found: str) -> R:
    """The recipe with the hash of the data that were found.

    Raises:
        ValueError: it has another one.
    """
    if recipe.data_hash not in ("", found):
        raise ValueError(
            f"the data in {recipe.data} have changed since the run began: a file there was added, removed, renamed or "
            "altered; restore it, or begin another run in another folder"
        )
    return replace(recipe, data_hash=found)


def _one_of(name: str, value: Any, known: Any) -> None:
    if value not in known:
        raise ValueError(missing(name, str(value), known))
