"""Text to learn from, character by character: what is on every machine that has Python, or any file of your own."""

from __future__ import annotations

import hashlib
import os
import sysconfig
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinyres.data.dataset import Array, Dataset, Split

PREFIX = "text:"
MOST = 1 << 24  # bytes of a file
STEP = 4  # windows for training begin at every context / STEP characters


def topics() -> str:
    """Half a megabyte of English and Python: what `help("for")` and its like print, with which Python comes."""
    try:
        found = import_module("pydoc_data.topics").topics
    except ImportError as error:
        raise FileNotFoundError(
            "text:topics: this Python came without pydoc_data, the texts of help(); give a file, text:FILE"
        ) from error
    return "\n\n".join(found[name] for name in sorted(found))


def source() -> str:
    """Some five megabytes of Python: the modules of the standard library, without its packages."""
    paths = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    if not paths:
        raise FileNotFoundError("text:source: this Python came without its source; give a file, text:FILE")
    return "\n\n".join(path.read_text(encoding="utf-8") for path in paths)


TEXTS = {"topics": topics, "source": source}


def text(name: str = "topics", *, context: int = 64, test_fraction: float = 0.1) -> Split:
    """Windows of a text for a model of the next character: `train, test = data.text("novel.txt")`.

    Inputs are (N, context) int64, numbers of characters; targets are the same one place further on. The last part of
    the text is the test set, cut so that each of its characters is a target once (but for a rest shorter than a
    window); windows for training overlap. `class_names` are the characters, of both parts, in Unicode's order.

    Args:
        name: "topics", the texts of Python's help(); "source", the modules of its standard library; or the path of a
            file in UTF-8. They differ a little between versions of Python, as `fingerprint` does.
        context: characters in a window.
        test_fraction: the share of the test set.

    Raises:
        FileNotFoundError, OSError: there is no such file, or it cannot be read.
        ValueError: it is no text, or too large, or too short for two windows; or it has less than two different
            characters.
    """
    if context < 1 or not 0 < test_fraction < 1:
        raise ValueError(
            f"text: context must be at least 1 and test_fraction strictly between 0 and 1, got {context} and "
            f"{test_fraction}"
        )
    whole = TEXTS[name]() if name in TEXTS else _read(name)
    count, needed = len(whole), 2 * context + 1
    if count < needed:
        said = "is empty" if not count else f"has only {count:,} character{'s' * (count > 1)}"
        raise ValueError(f"{name} {said}; with a context of {context}, a text needs at least {needed:,}")
    points, codes = np.unique(np.frombuffer(whole.encode("utf-32-le"), "<u4"), return_inverse=True)
    if len(points) < 2:
        raise ValueError(f"{name} repeats one character, {whole[0]!r}, so there is nothing to predict")
    codes = codes.astype(np.int64)
    held = min(max(round(count * test_fraction), context), count - context - 1)
    cut = count - held
    about = f"{Path(name).name}: {count:,} characters, {len(points)} different; the last {held:,} are the test set"
    characters = tuple(chr(p) for p in points)
    mark = hashlib.sha256(whole.encode()).hexdigest()[:20]

    def part(which: str, stretch: Array, step: int) -> Dataset:
        windows = sliding_window_view(stretch, context + 1)[::step]
        label = f"{Path(name).name}/{which}"
        return Dataset(windows[:, :-1], windows[:, 1:], label, len(points), characters, about, mark)

    return Split(part("train", codes[:cut], max(1, context // STEP)), part("test", codes[cut - 1 :], context))


def text_of(part: Dataset) -> Array:
    """The stretch of text, (characters,), that the windows of a part were cut from, but for a rest at its end."""
    context = part.inputs.shape[1]
    step = part.inputs.strides[0] // part.inputs.strides[1]  # the windows are views of it
    return np.concatenate([part.inputs[0, : context + 1 - step], part.targets[:, -step:].ravel()])


def is_text(name: str) -> bool:
    """Whether the name of a data set means a text: "text", or "text:" and what it is."""
    return name == PREFIX[:-1] or name.startswith(PREFIX)


def named_text(name: str) -> str:
    """The full name of a text: "text" is "text:topics", and a path becomes absolute.

    Raises:
        ValueError: there is no such file.
    """
    what = name.removeprefix(PREFIX[:-1]).removeprefix(":") or "topics"
    if what in TEXTS:
        return PREFIX + what
    path = Path(what).expanduser()
    if not path.is_absolute() and not path.exists():
        raise ValueError(f"no text called {what!r}; give the path of a file, or one of {', '.join(TEXTS)}")
    return PREFIX + os.path.abspath(path)


def encode(characters: tuple[str, ...], string: str) -> Array:
    """The numbers of a string's characters.

    Raises:
        ValueError: a character is not among them.
    """
    numbers = {c: i for i, c in enumerate(characters)}
    unknown = sorted(set(string) - numbers.keys())
    if unknown:
        raise ValueError(f"the text that the model learned from has no {', '.join(map(repr, unknown[:8]))}")
    return np.array([numbers[c] for c in string], np.int64)


def _read(name: str) -> str:
    path = Path(name)
    if path.is_dir():
        raise ValueError(f"{name} is a folder; a text is a single file")
    if not path.exists():
        raise FileNotFoundError(f"{name}: there is no such file")
    if path.stat().st_size > MOST:
        raise ValueError(f"{name} has {path.stat().st_size:,} bytes, and a text may have {MOST:,}: cut it")
    content = path.read_bytes()
    try:
        found = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name} is not text in UTF-8: byte {error.start:,} is 0x{content[error.start]:02x}; convert it first"
        ) from error
    if "\0" in found:
        raise ValueError(f"{name} is not text: character {found.index(chr(0)):,} is NUL, as in a binary file")
    return found.replace("\r\n", "\n")


__all__ = ["PREFIX", "TEXTS", "encode", "is_text", "named_text", "text", "text_of"]
