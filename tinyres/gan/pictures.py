"""Pictures of a GAN's run: samples from fixed noise, interpolations between samples, and training curves.

Each function draws into a matplotlib figure; `write` makes the file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinyres.autograd.tensor import Array
from tinyres.figures import blank, fold, narrow, narrow_name, palette, styled, whole_ticks, write_pair
from tinyres.files import write as write_file
from tinyres.files import write_figure
from tinyres.gan.labels import row_for_each
from tinyres.gan.trainer import LOG_LOSSES, GANTrainer, StepRecord


def write(
    path: Path, draw: Callable[..., None], *arguments: Any, size: tuple[float, float] = (7, 7), dark: bool = False
) -> None:
    """Draw a figure of `size` inches into a PNG file, which is written completely or not at all.

    Args:
        dark: write its form for dark pages as well, beside it, and both for narrow screens, with its panels one below
            the other.

    Raises:
        OSError: the disk is full or fails; a picture that was there before is as it was.
    """
    with styled():
        figure = blank(size)
        draw(figure, *arguments)
        whole_ticks(figure)
        (write_pair if dark else write_figure)(figure, path)
        if dark:
            slim = narrow(size=size)
            draw(slim, *arguments)
            fold(slim)
            write_pair(slim, narrow_name(path))


def draw_samples(figure: Any, samples: Array, real: Array, title: str, columns: int | None = None) -> None:
    """Images (N, C, H, W) in rows, of a square or of so many columns; points (N, 2) over real ones."""
    if samples.ndim == 2:
        axes = figure.add_subplot()
        axes.plot(*real[:2000].T, ".", color="0.6", ms=3, label="real")
        axes.plot(*samples.T, ".", color=palette.G, ms=3, alpha=0.7, label="generated")
        _square(axes, real)
        figure.legend(loc="outside lower center", ncols=2, markerscale=3)
        axes.set_title(title)
        return
    _tiles(figure, samples, columns or int(np.ceil(np.sqrt(len(samples)))), title)


def draw_interpolations(figure: Any, ways: Array, real: Array, title: str) -> None:
    """Images (rows, columns, C, H, W), or points (rows, columns, 2) as lines over real ones."""
    if ways.ndim == 3:
        axes = figure.add_subplot()
        axes.plot(*real[:2000].T, ".", color="0.6", ms=3, label="real")
        for way in ways:
            axes.plot(*way.T, ".-", lw=0.8, ms=3)
        _square(axes, real)
        axes.set_title(title)
        return
    _tiles(figure, ways.reshape(-1, *ways.shape[2:]), ways.shape[1], title)


def draw_curves(figure: Any, history: Sequence[StepRecord], loss: str, title: str) -> None:
    """Losses, gradient norms and D's outputs against the step, each with its running mean."""
    found = {name: np.array([getattr(record, name) for record in history]) for name in StepRecord._fields}
    output = "mean of sigmoid(D)" if loss in LOG_LOSSES else "mean of D"
    panels = (
        ("losses", [("d_loss", "D", palette.D), ("g_loss", "G", palette.G)], "loss"),
        ("norm of the gradient", [("d_grad_norm", "D", palette.D), ("g_grad_norm", "G", palette.G)], "|gradient|"),
        ("outputs of D", [("d_real", "real", palette.D), ("d_fake", "generated", palette.G)], output),
    )
    for axes, (name, curves, label) in zip(figure.subplots(1, 3), panels, strict=True):
        for key, what, colour in curves:
            axes.plot(found["step"], found[key], color=colour, lw=0.5, alpha=0.25, label=f"_{what}, each step")
            axes.plot(*_smooth(found["step"], found[key]), color=colour, lw=1.5, label=what)
        if name == "norm of the gradient":
            axes.set_yscale("log")
        axes.set(title=name, xlabel="step of the generator", ylabel=label)
        axes.legend(loc="best")
    figure.suptitle(title)


def interpolate(noise: Array, columns: int = 9) -> Array:
    """Great circles between rows 0 and 1, 2 and 3, ... of noise (2 R, latent): (R, columns, latent).

    Straight lines would pass through the middle, where N(0, I) has next to no samples (White 2016 [white2016sampling],
    "Sampling generative networks"): with the angle w between a and b, z(t) = [sin((1 - t) w) a + sin(t w) b] / sin w.
    """
    a, b = noise[0::2, None], noise[1::2, None]  # (R, 1, latent)
    cosine = (a * b).sum(-1, keepdims=True) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))[..., None]
    w = np.arccos(np.clip(cosine, -1 + 1e-6, 1 - 1e-6))  # (R, 1, 1)
    t = np.linspace(0, 1, columns)[:, None]  # (columns, 1)
    way: Array = (np.sin((1 - t) * w) * a + np.sin(t * w) * b) / np.sin(w)
    return way


def pictures(trainer: GANTrainer, folder: Path, title: str) -> None:
    """samples.png, interpolations.png and training.png of a trainer, and the samples once more under their step.

    Those that report.html shows, samples and training, have a dark form as well. Of conditional players each row has
    one class: samples the same noise in all rows, interpolations their own.
    """
    real, images = trainer.dataset.inputs, trainer.dataset.inputs.ndim > 2
    said, across = f"{title}, step {trainer.step}", 8 if images else 100
    n = across if trainer.classes else 64 if images else 1000
    noise, labels = row_for_each(trainer.classes, trainer.fixed_noise(n))
    samples = trainer.sample(noise=noise, labels=labels)
    each = ", a row for each class" if trainer.classes and images else ""
    columns = across if trainer.classes else None
    write(folder / "samples.png", draw_samples, samples, real, said + each, columns, dark=True)
    ways = interpolate(trainer.fixed_noise(16))  # (8, columns, latent)
    classes = np.repeat(np.arange(len(ways)), ways.shape[1]) % trainer.classes if trainer.classes else None
    flat = trainer.sample(noise=ways.reshape(-1, trainer.latent), labels=classes)
    between = flat.reshape(*ways.shape[:2], *real.shape[1:])
    write(folder / "interpolations.png", draw_interpolations, between, real, f"from one sample to another: {said}")
    if trainer.history:
        curves = (trainer.history, trainer.loss.name, said)
        write(folder / "training.png", draw_curves, *curves, size=(13, 4.5), dark=True)
    (folder / "samples").mkdir(exist_ok=True)
    write_file(folder / "samples" / f"{trainer.step:06}.png", (folder / "samples.png").read_bytes())


def _tiles(figure: Any, images: Array, columns: int, title: str) -> None:
    n, c, h, w = images.shape
    rows = -(-n // columns)
    page = np.full((rows, columns, h + 1, w + 1, c), -0.5 if c == 1 else 1.0)  # a line of a pixel between neighbours
    page.reshape(-1, h + 1, w + 1, c)[:n, :h, :w] = images.transpose(0, 2, 3, 1)
    page = page.transpose(0, 2, 1, 3, 4).reshape(rows * (h + 1), columns * (w + 1), c)[:-1, :-1]
    axes = figure.add_subplot()
    ink = {"cmap": "gray_r", "vmin": -1, "vmax": 1} if c == 1 else {}
    axes.imshow(page[..., 0] if c == 1 else np.clip((page + 1) / 2, 0, 1), interpolation="nearest", **ink)
    axes.set_axis_off()
    axes.set_title(title)


def _square(axes: Any, real: Array) -> None:
    reach = 1.25 * float(np.abs(real).max())
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")


def _smooth(x: Array, y: Array) -> tuple[Array, Array]:
    width = max(1, len(y) // 50)
    return x[width - 1 :], np.convolve(y, np.full(width, 1 / width), "valid")
