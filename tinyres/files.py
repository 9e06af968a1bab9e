"""Weights in and out of safetensors files: names, shapes, numbers and nothing that can run.

A file is replaced whole or not at all, weights and anything else that tinyres writes: it is written beside its final
name, forced to disk, and renamed over it.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import shutil
import warnings
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np

from tinyres.arrays import to_device
from tinyres.arrays.foreign import foreign_array, is_foreign
from tinyres.autograd.tensor import raw

Array: TypeAlias = np.ndarray[Any, Any]
PathLike: TypeAlias = str | os.PathLike[str]

INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
DTYPES = ["bool", *INTEGERS, "float16", "float32", "float64"]
CODES = {f"{name[0]}{''.join(filter(str.isdigit, name))}".upper(): name for name in DTYPES[1:]} | {"BOOL": "bool"}
SIGNATURES = {
    b"\x89PNG": "a PNG image",
    b"\x93NUMPY": "a NumPy .npy array",
    b"PK\x03\x04": "a ZIP archive (torch.save and numpy.savez write those)",
    b"\x80": "a pickle",
}


class FileFormatError(ValueError):
    """The file is there, but its content is not what was needed."""


class Stateful(Protocol):
    """What `save` and `load` need of a module."""

    def state_dict(self) -> Mapping[str, Any]: ...
    def load_state_dict(self, state: Mapping[str, Any], /) -> Any: ...


def save(obj: Mapping[str, Any] | Stateful, path: PathLike, metadata: Mapping[str, str] | None = None) -> None:
    """Write a module's state, or a mapping from names to tensors or arrays, to a safetensors file.

    Names, logical shapes, dtypes and every bit are kept; the order of the names and the memory layout are not. The same
    content gives the same bytes.
    Whatever happens meanwhile, `path` holds either the old file or the new one: a killed process may at most leave a
    `.tinyres-*.tmp` beside it. Through a symbolic link, the file that it points to is replaced.

    Args:
        obj: anything with `.state_dict()`, or a mapping.
        path: of the file; its directory has to exist.
        metadata: texts by name, kept in the file's header.

    Raises:
        TypeError: a name or metadata that is no str, a value that is no tensor or array, or a dtype the format lacks.
        ValueError: a tensor called `__metadata__`, which the format reserves, or a text that is not valid Unicode.
        FileNotFoundError: the directory does not exist.
        ImportError: safetensors is missing.

    All of these are raised before anything is written; a disk that fails or is full raises OSError.
    """
    numpy_io = _safetensors("save").numpy
    arrays = _arrays(obj)
    texts = dict(metadata or {})
    for key, text in texts.items():
        if not isinstance(key, str) or not isinstance(text, str):
            raise TypeError(f"save: metadata maps str to str, got {key!r}: {text!r}")
        _check_text(key)
        _check_text(text)
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(f"save: {target} needs the directory {target.parent}, which does not exist")
    write(target, _texts_in_order(numpy_io.save(arrays, metadata=texts or None)))


def load(path: PathLike, into: Stateful | None = None) -> dict[str, Array]:
    """Read a safetensors file into NumPy arrays by name, and hand them to a module if one is given.

    The whole file is read and checked before `into` is touched; its `load_state_dict` then says what does not fit.
    NumPy has no bfloat16: such numbers become float32, which holds all of them, and a warning names them.

    Raises:
        FileFormatError: the file is truncated, damaged, or of another format; or it holds a dtype NumPy lacks.
        FileNotFoundError: there is no such file.
        TypeError: `into` has no `load_state_dict`.
        ImportError: safetensors is missing.
    """
    if into is not None and not hasattr(into, "load_state_dict"):
        raise TypeError(f"load: into needs a load_state_dict method, and {type(into).__name__} has none")
    library = _safetensors("load")
    content = Path(path).read_bytes()
    try:
        state: dict[str, Array] = library.numpy.load(content)
    except (library.SafetensorError, ValueError) as error:  # ValueError: a shape that is no NumPy shape
        raise _not_safetensors(path, content, len(content), error) from error
    except KeyError:  # the library's table from dtypes to NumPy's lacks one of them
        state = _widened(path, library.deserialize(content))
    if into is not None:
        into.load_state_dict(state)
    return state


def _widened(path: PathLike, entries: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, Array]:
    state, widened = {}, []
    for name, entry in entries:
        if entry["dtype"] == "BF16":  # the upper half of a float32
            bits = np.frombuffer(entry["data"], "<u2").astype(np.uint32) << 16
            values = bits.view(np.float32)
            widened.append(name)
        elif entry["dtype"] in CODES:
            values = np.frombuffer(entry["data"], CODES[entry["dtype"]]).copy()
        else:
            raise FileFormatError(f"{path}: holds tensors of dtype {entry['dtype']}, which NumPy does not have")
        try:
            state[name] = values.reshape(entry["shape"])
        except ValueError as error:
            raise FileFormatError(f"{path}: {name!r} has shape {entry['shape']}, NumPy has none such") from error
    others = f" and {len(widened) - 1} more" if len(widened) > 1 else ""
    warnings.warn(f"{path}: {widened[0]}{others} came as bfloat16 and became float32", stacklevel=3)
    return state


def load_metadata(path: PathLike) -> dict[str, str]:
    """The texts that `save` was given; empty if there were none. Raises what `load` raises."""
    library = _safetensors("load_metadata")
    with open(path, "rb") as file:  # for Python's own error where there is no file
        beginning, size = file.read(64), os.fstat(file.fileno()).st_size
    try:
        with library.safe_open(path, framework="numpy") as opened:
            return dict(opened.metadata() or {})
    except library.SafetensorError as error:
        raise _not_safetensors(path, beginning, size, error) from error


def _texts_in_order(content: bytes) -> bytes:
    """The same file with its texts by name: the library writes them in an order that is another one each time."""
    begin = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:begin])
    texts = header.pop("__metadata__", {})
    if len(texts) < 2:
        return content
    header = {"__metadata__": dict(sorted(texts.items()))} | header
    line = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    line += b" " * (-len(line) % 8)  # so that what follows is aligned
    return b"".join([len(line).to_bytes(8, "little"), line, memoryview(content)[begin:]])


def _arrays(obj: Mapping[str, Any] | Stateful) -> dict[str, Array]:
    """C-ordered arrays by name: the file has shapes, but no strides."""
    state: Any = obj if isinstance(obj, Mapping) or not hasattr(obj, "state_dict") else obj.state_dict()
    if not isinstance(state, Mapping):
        raise TypeError(
            f"save: needs a mapping from names to tensors, or a module, got {type(state).__name__}; "
            "the order is save(obj, path)"
        )
    arrays = {}
    for name, value in state.items():
        if not isinstance(name, str):
            raise TypeError(f"save: names must be str, got {name!r} of type {type(name).__name__}")
        if name == "__metadata__":
            raise ValueError("save: a tensor cannot be called '__metadata__', the format keeps that name for itself")
        _check_text(name)
        array = foreign_array(value, f"save: {name!r}", values=True) if is_foreign(value) else raw(value)
        if not hasattr(array, "dtype"):
            raise TypeError(f"save: {name!r} must be a tensor or an array, got {type(value).__name__}")
        array = to_device(array, "cpu")
        if array.dtype.name not in DTYPES:
            raise TypeError(f"save: {name!r} has dtype {array.dtype}; the file can hold {', '.join(DTYPES)}")
        # not ascontiguousarray, which gives an array of no dimensions one
        arrays[name] = np.asarray(array, order="C")
    return arrays


def write(path: PathLike, content: bytes | str) -> None:
    """Put `content` under the name `path` so that no moment shows a part of it; a text is made `legible`.

    Through a symbolic link, the file that it points to is replaced. A killed process may at most leave a
    `.tinyres-*.tmp` beside it.

    Raises:
        OSError: the disk is full or fails, or the folder does not exist; what was there before is as it was.
    """
    target = Path(os.path.realpath(path))
    content = legible(content).encode() if isinstance(content, str) else content
    temporary = target.with_name(f".tinyres-{secrets.token_hex(8)}.tmp")  # a rename is atomic within a directory only
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # or a power cut could leave the new name on an empty file
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException:  # a KeyboardInterrupt too
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # elsewhere a directory cannot be opened
        directory = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(directory)  # the rename itself
        finally:
            os.close(directory)


def _check_text(text: str) -> None:
    if legible(text) != text:
        raise ValueError(f"save: {text[:80]!r} is no valid Unicode, it holds a lone surrogate; give it another name")


def legible(text: str) -> str:
    """`text` with `?` for each lone surrogate: a file's or a module's name may hold one, and no UTF-8 can."""
    return text.encode("utf-8", "replace").decode()


def write_json(path: PathLike, document: Any) -> None:
    """`plain(document)` as a JSON file, whole or not at all."""
    write(path, json.dumps(plain(document), indent=1) + "\n")


def plain(value: Any) -> Any:
    """JSON values of arrays, NumPy numbers and containers. JSON has no NaN and no infinity: they become null."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_figure(figure: Any, path: PathLike) -> None:
    """A matplotlib figure as a PNG file, whole or not at all."""
    write(path, png(figure))


def png(figure: Any) -> bytes:
    """A matplotlib figure as PNG; the same figure gives the same bytes."""
    content = BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def _not_safetensors(path: PathLike, content: bytes, size: int, error: Exception) -> FileFormatError:
    found = f"{size} bytes that begin with {content[:8]!r}"
    if content[8:9] != b"{":  # where every safetensors header opens; before it, a length may look like anything
        kinds = [kind for signature, kind in SIGNATURES.items() if content.startswith(signature)]
        found = f"{kinds[0]}, {found}" if kinds else found
    return FileFormatError(f"{path}: a whole safetensors file is needed, this holds {found} ({error})")


def _safetensors(function: str) -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(f"{function}: needs the package safetensors; pip install 'tinyres[lab]'") from error
    return safetensors
