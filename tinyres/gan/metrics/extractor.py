"""The features: what a small residual classifier, trained on the data set itself, has to say about an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tinyres as tr
from tinyres import data as data_sets
from tinyres import nn, training
from tinyres.autograd.tensor import raw
from tinyres.files import FileFormatError, PathLike
from tinyres.gan.metrics.metric import Array
from tinyres.training.prepare import load_split

BATCH = 500
RECIPES = {
    "digits": training.Recipe(data="digits", depth=8, epochs=10),
    "mnist": training.Recipe(data="mnist", depth=8, epochs=2, batch_size=128),
    "fashion-mnist": training.Recipe(data="fashion-mnist", depth=8, epochs=3, batch_size=128),
    "cifar10": training.Recipe(data="cifar10", depth=20, epochs=20, batch_size=128),
}


@dataclass(frozen=True, eq=False)
class Extractor:
    """A trained classifier as a measuring instrument for images (N, C, H, W) from -1 to 1, as generators make them.

    Attributes:
        model: of `tinyres.models`; its head ends in a linear layer.
        scale: what the model's training images went through, from values between 0 and 1.
        data: the data set that it was trained on.
        accuracy: on that set's test images.
        image: (C, H, W).
    """

    model: nn.Module
    scale: data_sets.Normalize
    data: str
    accuracy: float
    image: tuple[int, ...]

    @property
    def classifier(self) -> str:
        """What it is, with its accuracy."""
        return f"a residual classifier trained on {self.data} (accuracy {100 * self.accuracy:.1f} %)"

    @property
    def name(self) -> str:
        """What its features are: the `extractor` of the metrics."""
        return f"features of {self.classifier}"

    def features(self, images: Any) -> Array:
        """What enters the linear head, the mean over the image of the last block: (N, C, H, W) -> (N, F) float64."""
        return self._answers(images, lambda x: _before_the_linear_layer(self.model, x))

    def probabilities(self, images: Any) -> Array:
        """The classifier's answers: (N, C, H, W) -> (N, K) float64, rows of sum 1."""
        logits = self._answers(images, self.model)
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: Array = exponentials / exponentials.sum(axis=1, keepdims=True)
        return shares

    def _answers(self, images: Any, function: Callable[[Any], Any]) -> Array:
        given = np.asarray(raw(images))
        if given.dtype.kind != "f" or given.shape[1:] != self.image or not len(given):
            raise ValueError(
                f"Extractor: needs float images of shape (N, {', '.join(map(str, self.image))}), those of {self.data}, "
                f"got {given.dtype} {given.shape}"
            )
        largest = np.abs(given).max()
        if not largest <= 1 + 1e-3:
            raise ValueError(
                f"Extractor: images go from -1 to 1, as tanh leaves them; the largest value here is {largest:.4g}"
            )
        unused = np.random.default_rng(0)  # nothing is drawn for a normalisation
        inputs = self.scale(((given + 1) / 2).astype(np.float32), unused)
        with tr.no_grad():
            device = next(self.model.parameters()).device
            parts = [
                function(tr.tensor(inputs[i : i + BATCH]).to(device)).numpy() for i in range(0, len(inputs), BATCH)
            ]
        return np.concatenate(parts).astype(np.float64)


def classifier(
    data: str = "digits",
    seed: int = 0,
    *,
    folder: PathLike | None = None,
    tick: Callable[[int, int], None] | None = None,
    device: str = "cpu",
) -> Extractor:
    """A residual net of depth 8 (cifar10: 20), trained on the data set; seconds for digits, once if there is a folder.

    Args:
        data: a name of `data.BY_NAME`.
        seed: of the training, and of what is held back for the accuracy where the data come unsplit (digits).
        folder: keeps the trained net as classifier-DATA-SEED.safetensors, or has it from an earlier call.
        tick: called after each training step with its number and their total.
        device: where it is trained and asked; what it says comes back as NumPy arrays.

    Raises:
        ValueError: there is no such data set.
        CheckpointError, FileFormatError: the folder's file holds something else, or a net of another recipe.

    What a data set's own classifier calls near is not what an Inception net does: such a distance is no FID.
    """
    if data not in RECIPES:
        raise ValueError(
            f"classifier: no recipe for data called {data!r}; there are {', '.join(RECIPES)}; a score rests on the "
            "features of such a classifier"
        )
    recipe = training.Recipe(**RECIPES[data].to_json() | {"seed": seed})
    split = load_split(recipe)
    run = training.prepare(recipe, split, device=device)
    path = None if folder is None else Path(folder) / f"classifier-{data}-{seed}.safetensors"
    if path is not None and path.exists():
        try:
            training.resume(run, path)
        except (training.CheckpointError, FileFormatError) as error:
            raise type(error)(f"{error}; without the file, the classifier is trained again") from error
    fresh = run.step < run.total
    for _ in run.steps():
        if tick is not None:
            tick(run.step, run.total)
    if path is not None and fresh:
        path.parent.mkdir(parents=True, exist_ok=True)
        training.save(run, path)
    accuracy = training.evaluate(run.model, run.test).accuracy
    scale = data_sets.Normalize(*data_sets.channel_statistics(split.train))
    return Extractor(run.model.eval(), scale, data, accuracy, split.train.inputs.shape[1:])


def _before_the_linear_layer(model: Any, x: Any) -> Any:
    *before, last = model.head
    if not isinstance(last, nn.Linear):
        raise TypeError(f"Extractor: the model's head must end in a Linear layer, it ends in {type(last).__name__}")
    x = model.blocks(model.stem(x))
    for module in before:
        x = module(x)
    return x
