"""A trained model of text, read back to write with."""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any

from tinyres import models
from tinyres.data.text import encode
from tinyres.files import load, load_metadata

FILE = "model.safetensors"


class Writer:
    """A model of text with its characters: `training.Writer("train-results/gpt-topics").write("The ", 200)`.

    Args:
        path: the folder of a run of `tinyres train gpt`, or its model.safetensors.

    Raises:
        ValueError: there is another kind of model; FileFormatError if the file is damaged.
        FileNotFoundError: there is no such file.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        path = Path(path)
        path = path / FILE if path.is_dir() else path
        if not path.exists():
            raise FileNotFoundError(
                f"{path.absolute()}: there is no such file; `tinyres train gpt` writes it when it ends"
            )
        text, arrays = load_metadata(path).get("gpt"), load(path)
        if text is None:
            raise ValueError(f"{path}: holds no model of text; `tinyres train gpt` writes one")
        try:
            about = json.loads(text)
            settings, characters = dict(about["settings"]), tuple(about["characters"])
            _check(settings, characters, arrays)
            self.model: models.GPT = models.gpt(**settings, rng=0)
            self.model.load_state_dict(arrays)
        except (KeyError, TypeError, ValueError, RuntimeError, RecursionError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"{path}: its description and its weights do not fit together ({reason})") from error
        self.characters: tuple[str, ...] = characters

    def write(self, prompt: str, length: int, temperature: float = 1.0, *, rng: Any = None) -> str:
        """The next `length` characters after the prompt; an empty prompt begins a line. For the rest see `GPT.sample`.

        Raises:
            ValueError: the prompt has a character that the model has never seen.
        """
        start = encode(self.characters, prompt or ("\n" if "\n" in self.characters else self.characters[0]))
        return "".join(self.characters[i] for i in self.model.sample(start, length, temperature, rng=rng))


def _check(settings: dict[str, Any], characters: tuple[Any, ...], arrays: dict[str, Any]) -> None:
    """Check the description against the weights, before a model of that size is built."""
    if not all(isinstance(c, str) and len(c) == 1 for c in characters) or len(set(characters)) != len(characters):
        raise ValueError("its characters are not single and different ones")
    if settings.get("symbols") != len(characters):
        raise ValueError(f"{len(characters)} characters for {settings.get('symbols')} symbols")
    axes = {length for array in arrays.values() for length in array.shape}
    sizes = [settings.get(name) for name in ("width", "symbols", "context")]
    if any(type(size) is not int or size not in axes for size in sizes):
        raise ValueError(f"no weights of width, symbols and context {sizes}")
    if type(settings.get("layers")) is not int or settings["layers"] > len(arrays) or settings.get("streams") not in (
        1, *axes,
    ):  # fmt: skip
        raise ValueError(f"too few weights for {settings.get('layers')} layers")


__all__ = ["Writer"]
