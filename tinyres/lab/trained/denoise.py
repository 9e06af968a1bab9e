"""Denoising: a residual net that learns the noise of an image, compared with the best Gaussian filter.

Zhang et al. 2017 [zhang2017beyond], "Beyond a Gaussian denoiser: Residual learning of deep CNN for image denoising"
(there photographs in grey, 17 layers of width 64, noise of sd 15 to 50 of 255).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import tinyres as tr
from tinyres import data, models, optim
from tinyres.lab.experiment import BOTH, Experiment, Law, Options, Result, Table, Tick, shown

SD = 0.25  # of the noise, where images go from 0 to 1
WIDTHS = np.arange(0.2, 3.01, 0.05)  # standard deviations of the Gaussian filter, in pixels
PATCH, TILE = 24, 256
GAIN = 3.0  # dB above the filter
SOURCE = "Zhang et al. 2017"

Array = Any
Denoise = Callable[[Array], Array]
Draw = Callable[[Array, int, np.random.Generator], Array]


@dataclass(frozen=True)
class Setting:
    """A denoiser's size and training: Adam on the squared error of the clean image, the rate falling as a cosine."""

    depth: int
    width: int
    steps: int
    batch: int
    rate: float


DIGITS = Setting(depth=6, width=32, steps=1000, batch=64, rate=0.01)
PHOTOGRAPHS = Setting(depth=6, width=24, steps=1200, batch=16, rate=0.01)


def noisy(clean: Array, rng: np.random.Generator) -> Array:
    """Independent Gaussian noise on every pixel; nothing is clipped."""
    return clean + np.float32(SD) * rng.standard_normal(clean.shape, np.float32)


def psnr(images: Array, clean: Array) -> float:
    """Peak signal to noise ratio in dB over all pixels of all images: 10 log10(1 / mean squared error), peak 1."""
    return float(-10 * np.log10(np.mean(np.square(images - clean, dtype=np.float64))))


def train(
    setting: Setting,
    draw: Callable[[], Array],
    *,
    residual: bool,
    seed: tuple[int, ...],
    tick: Tick,
    device: str = "cpu",
) -> Denoise:
    """A trained net as a function from noisy images to clean ones, (N, C, H, W) to the same.

    draw: a batch of clean images, (B, C, H, W). residual: the net gives the noise, which is subtracted; otherwise the
    same layers give the image itself.
    """
    rng = np.random.default_rng(seed)
    clean = draw()
    model = models.dncnn(setting.depth, setting.width, in_channels=clean.shape[1], rng=rng).to(device)
    forward = model if residual else model.noise
    optimizer = optim.Adam(model.parameters(), lr=setting.rate)
    schedule = optim.CosineAnnealingLR(optimizer, setting.steps)
    for _ in range(setting.steps):
        model.zero_grad()
        error = forward(tr.tensor(noisy(clean, rng)).to(device)) - tr.tensor(clean).to(device)
        (error * error).mean().backward()
        optimizer.step()
        schedule.step()
        clean = draw()
        tick()
    model.eval()

    def denoise(images: Array) -> Array:
        with tr.no_grad():
            parts = np.array_split(images, _parts(images))
            return np.concatenate([forward(tr.tensor(part).to(device)).numpy() for part in parts])

    return denoise


def _parts(images: Array) -> int:
    return max(1, int(images.size) // 200_000)  # at most about 200,000 pixels at a time: a layer's output stays small


def gaussian(images: Array, width: float) -> Array:
    """Each image and channel blurred; at the border the image is mirrored. (N, C, H, W) to the same."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(images, (0, 0, width, width), mode="reflect")


def tuned(clean: Array, rng: np.random.Generator) -> float:
    """The width of the Gaussian filter that is best on these images."""
    images = noisy(clean, rng)
    return float(max(WIDTHS, key=lambda width: psnr(gaussian(images, width), clean)))


@dataclass(frozen=True)
class Outcome:
    """Clean and noisy images, what each method made of them, and the PSNR of all: {name: dB}."""

    images: dict[str, Array]
    decibels: dict[str, float]


def compare(
    setting: Setting,
    training: Array,
    test: Array,
    draw: Draw,
    seed: tuple[int, int, int],
    tick: Tick,
    device: str = "cpu",
) -> Outcome:
    """Both nets and the filter on the same noisy test images; all are fitted to the training images alone."""
    rng = np.random.default_rng(seed)
    width = tuned(training, rng)
    images = {"clean": test, "noisy": noisy(test, rng)}
    images[f"Gaussian filter, {width:.2f} pixels"] = gaussian(images["noisy"], width)
    for name, residual in (("net that learns the noise", True), ("net that learns the image", False)):
        clean = partial(draw, training, setting.batch, np.random.default_rng((*seed, 1)))  # the same for both
        net = train(setting, clean, residual=residual, seed=seed, tick=tick, device=device)
        images[name] = net(images["noisy"])
    return Outcome(images, {name: psnr(made, test) for name, made in images.items() if name != "clean"})


def whole(images: Array, count: int, rng: np.random.Generator) -> Array:
    """`count` of the images."""
    return images[rng.integers(len(images), size=count)]


def patches(images: Array, count: int, rng: np.random.Generator) -> Array:
    """`count` random patches of the images: (N, C, H, W) to (count, C, PATCH, PATCH)."""
    n, _, height, width = images.shape
    which, top, left = (rng.integers(high, size=count) for high in (n, height - PATCH + 1, width - PATCH + 1))
    return np.stack([images[k, :, i : i + PATCH, j : j + PATCH] for k, i, j in zip(which, top, left, strict=True)])


def run(options: Options, tick: Tick) -> Result:
    """Digits, with a law; and a photograph, each colour by itself, by nets trained on the colours of another."""
    split = data.digits(seed=options.seed)
    images = split.train.inputs, split.test.inputs
    digits = compare(DIGITS, *images, whole, (options.seed, 0, 0), tick, options.device)
    temple, flower = (photograph.transpose(2, 0, 1)[:, None] for photograph in data.photographs())  # (3, 1, H, W)
    flower = flower[:, :, 80 : 80 + TILE, 200 : 200 + TILE]
    photo = compare(PHOTOGRAPHS, temple, flower, patches, (options.seed, 1, 0), tick, options.device)
    return Result(
        laws=laws(digits.decibels),
        tables=[table(digits.decibels, photo.decibels)],
        figures={
            "": lambda figure: draw_digits(figure, digits),
            "photograph": lambda figure: draw_photograph(figure, photo),
        },
        data={"digits_psnr": digits.decibels, "photograph_psnr": photo.decibels},
        note=f"PSNR in dB over all pixels of all {len(split.test)} test digits.",
        found=found(digits.decibels, photo.decibels),
    )


def found(digits: dict[str, float], photo: dict[str, float]) -> str:
    """Decibels of the filter and of both nets."""
    _, filtered, residual, direct = digits.values()
    _, blurred, cleaned, _ = photo.values()
    return (
        f"On noisy digits the net that learns the noise reaches {residual:.2f} dB, {residual - filtered:+.2f} dB "
        f"compared with the best Gaussian filter and {residual - direct:+.2f} dB with the same layers learning the "
        f"image; on a photograph that it has not seen, {cleaned - blurred:+.2f} dB compared with the filter."
    )


def laws(decibels: dict[str, float]) -> list[Law]:
    """At least 3 dB above the filter."""
    before, filtered, residual, direct = decibels.values()
    return [
        Law(
            "digits: net that learns the noise, dB above the Gaussian filter",
            residual - filtered,
            GAIN,
            0.0,
            "ordering",
            SOURCE,
        ),
        shown("digits: the filter, dB above the noisy images", filtered - before),
        shown("digits: net that learns the noise, dB above that which learns the image", residual - direct),
    ]


def table(digits: dict[str, float], photo: dict[str, float]) -> Table:
    """PSNR of everything."""
    rows = [
        [name.partition(",")[0], f"{a:.2f}", f"{b:.2f}"]
        for (name, a), b in zip(digits.items(), photo.values(), strict=True)
    ]
    note = f"Photograph: {TILE} x {TILE} pixels of the flower; nets and filter saw only the temple; colour by colour."
    return Table("PSNR in dB", ("images", "digits", "photograph"), rows, note)


def draw_digits(figure: Any, outcome: Outcome) -> None:
    """Twelve test digits: clean, noisy, filtered, and by both nets."""
    panels = figure.subplots(len(outcome.images), 1)
    for axes, (name, images) in zip(panels, outcome.images.items(), strict=True):
        row = np.pad(images[:16, 0], ((0, 0), (1, 1), (1, 1)), constant_values=0.5)  # (16, 10, 10)
        axes.imshow(np.concatenate(list(row), axis=1), cmap="gray_r", vmin=0, vmax=1)
        axes.set(xticks=[], yticks=[])
        level = f"\n{outcome.decibels[name]:.2f} dB" if name in outcome.decibels else ""
        axes.set_ylabel(name + level, rotation=0, ha="right", va="center", fontsize=9)
    figure.suptitle(f"Digits with Gaussian noise of sd {SD}: PSNR over all test digits")


def draw_photograph(figure: Any, outcome: Outcome) -> None:
    """The flower: clean, noisy, filtered, and by both nets."""
    panels = figure.subplots(1, len(outcome.images))
    for axes, (name, images) in zip(panels, outcome.images.items(), strict=True):
        axes.imshow(np.clip(images[:, 0].transpose(1, 2, 0), 0, 1), interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        level = f"\n{outcome.decibels[name]:.2f} dB" if name in outcome.decibels else "\n"
        axes.set_title(name.replace(", ", ",\n").replace(" that", " that\n") + level, fontsize=9)
    figure.suptitle("A photograph that neither the nets nor the filter's width were fitted to")


EXPERIMENT = Experiment(
    name="denoise",
    question="Does a net that learns the noise of an image denoise it better than a filter tuned to that noise?",
    claim="a residual net that learns the noise cleans digits better than the best Gaussian filter",
    prediction=f"digits, noise of sd {SD}: at least {GAIN:g} dB PSNR above the filter tuned on the training images",
    source=SOURCE,
    ticks=lambda options: 2 * (DIGITS.steps + PHOTOGRAPHS.steps),
    run=run,
    seconds=75,
    devices=BOTH,
    equation=r"\mathrm{PSNR} = 10 \log_{10} \frac{1}{\overline{(\hat{x} - x)^2}}, \qquad"
    r" \mathrm{PSNR}_{\mathrm{net}} > \mathrm{PSNR}_{\mathrm{filter}} + 3",
    varies="weights, noise, the split of the digits, batches and patches",
    seeds=5,
    conditions=f"Independent Gaussian noise of sd {SD} on pixels from 0 to 1, not clipped; the filter's width is the "
    f"best on the training images. DnCNN of {DIGITS.depth} layers and width {DIGITS.width}, {DIGITS.steps} steps of "
    f"{DIGITS.batch} digits with fresh noise. The photographs have no verdict: there are two.",
)
