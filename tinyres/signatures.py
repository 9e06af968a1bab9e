"""What kind of file it is that is no safetensors file, by its first bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CONVERT = (
    "where PyTorch is installed beside tinyres, tr.save(torch.load(path, map_location='cpu'), 'new.safetensors') makes "
    "a file of it that tr.load reads, nested or not"
)
SIGNATURES = {
    b"\x89PNG": "a PNG image",
    b"\x93NUMPY": "a NumPy .npy array",
    b"PK\x03\x04": f"a ZIP archive, as torch.save and numpy.savez write: {CONVERT}; numpy.load reads what numpy.savez "
    "wrote",
    b"\x80": f"a pickle, as old versions of torch.save write: {CONVERT}",
}


def kind_of(beginning: bytes) -> str | None:
    """A foreign file's kind, and how to get at what it holds; None for a safetensors file, and if nobody knows."""
    if beginning[8:9] == b"{":  # the header of a safetensors file, after its length, which may be any 8 bytes
        return None
    return next((kind for signature, kind in SIGNATURES.items() if beginning.startswith(signature)), None)


def refuse_foreign(target: Path) -> None:
    """Refuse to put weights over a file of another kind, such as the PyTorch checkpoint that they came from."""
    if not target.is_file():
        return
    with open(target, "rb") as file:
        kind = kind_of(file.read(64))
    if kind is not None:
        raise FileExistsError(
            f"save: {target} is there, and is {kind.partition(':')[0]}; tr.save writes safetensors: give the file "
            f"another name, {target.stem}.safetensors, or remove the old one"
        )


def library(function: str) -> Any:
    """The package safetensors. ImportError, in the name of a function, where it is missing."""
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(f"{function}: needs the package safetensors; pip install 'tinyres[lab]'") from error
    return safetensors


__all__ = ["CONVERT", "kind_of", "library", "refuse_foreign"]
