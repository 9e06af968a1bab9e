"""Modes of stacked digits: 1,000 triples, told apart by a classifier of single digits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyres.autograd.tensor import raw
from tinyres.gan.metrics.extractor import Extractor
from tinyres.gan.metrics.metric import Array

CHANNELS = 3


@dataclass(frozen=True)
class StackedModes:
    """What the samples cover of all triples of digits.

    Attributes:
        modes, of: triples that occur among the samples, of all.
        reverse_kl: KL(samples' triples || equal shares) in nats.
        counts: samples by triple, the first channel's digit counting most.
        classifier: who told the digits apart.
    """

    modes: int
    of: int
    reverse_kl: float
    samples: int
    counts: tuple[int, ...]
    classifier: str

    def __str__(self) -> str:
        return (
            f"{self.modes:,} of {self.of:,} triples, reverse KL {self.reverse_kl:.3g} nats, from {self.samples:,} "
            f"samples, each channel read by {self.classifier}"
        )


def stacked_modes(images: Any, extractor: Extractor) -> StackedModes:
    """Triples found, and reverse KL over them, for equally likely triples.

    Each channel goes to the classifier alone, whose surest class counts, however sure it is. So an error of it may find
    a triple that no one drew: real samples are the yardstick. With N samples from all K triples alike, about
    K e^(-N/K) are missed and the KL is about (K - 1) / (2 N); 26,000 samples are usual.

    Metz et al. 2017 [metz2017unrolled], "Unrolled generative adversarial networks", section 3.3; Lin et al. 2018
    [lin2018pacgan], "PacGAN", section 4.2, for the reverse KL. Both stack MNIST's digits.

    Args:
        images: (N, 3, H, W) from -1 to 1.
        extractor: of single digits (1, H, W).

    Raises:
        ValueError: images of another shape; what the extractor raises.
    """
    triples, kinds = read_triples(images, extractor)
    counts = np.bincount(triples, minlength=kinds)
    share = counts[counts > 0] / len(triples)
    reverse_kl = float((share * np.log(share * len(counts))).sum())
    return StackedModes(
        int((counts > 0).sum()), len(counts), reverse_kl, len(triples), tuple(counts.tolist()), extractor.classifier
    )


def read_triples(images: Any, extractor: Extractor) -> tuple[Array, int]:
    """The number (N,) of the triple that the classifier reads in each image, and of how many triples there are."""
    given = np.asarray(raw(images))
    needed = (CHANNELS, *extractor.image[1:])
    if given.ndim != 4 or given.shape[1:] != needed or not len(given):
        raise ValueError(f"stacked_modes: needs images of shape (N, {', '.join(map(str, needed))}), got {given.shape}")
    single = given.reshape(-1, 1, *given.shape[2:])  # (3 N, 1, H, W), the channels of an image side by side
    answers = extractor.probabilities(single)
    classes = answers.shape[1]
    digits = answers.argmax(axis=1).reshape(-1, CHANNELS)
    return digits @ classes ** np.arange(CHANNELS - 1, -1, -1), classes**CHANNELS
