"""Saving and loading safetensors files, and atomic writes.

Safetensors files hold names, shapes and numbers, and no code that could run. Every file that tinyres writes, of any
kind, goes through `write`: into a temporary file beside its target, flushed to disk, and renamed. So a file is replaced
completely or not at all.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np

from tinyres import nesting
from tinyres.arrays import to_device
from tinyres.arrays.devices import check_device
from tinyres.arrays.foreign import foreign_array, is_foreign
from tinyres.autograd.tensor import raw
from tinyres.nesting import plain as plain
from tinyres.refusals.arguments import explain_words
from tinyres.signatures import kind_of, refuse_foreign
from tinyres.signatures import library as _safetensors

Array: TypeAlias = np.ndarray[Any, Any]
PathLike: TypeAlias = str | os.PathLike[str]

INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
DTYPES = ["bool", *INTEGERS, "float16", "float32", "float64"]
CODES = {f"{name[0]}{''.join(filter(str.isdigit, name))}".upper(): name for name in DTYPES[1:]} | {"BOOL": "bool"}


class FileFormatError(ValueError):
    """The file exists, but its content is not what is needed."""


class Stateful(Protocol):
    """What `save` and `load` need of a module."""

    def state_dict(self) -> Mapping[str, Any]: ...
    def load_state_dict(self, state: Mapping[str, Any], /) -> Any: ...


@explain_words
def save(obj: Any, path: PathLike, metadata: Mapping[str, str] | None = None) -> None:
    """Write a module's state, or a dictionary, list or tuple, nested or not, to a safetensors file.

    tr.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}, "checkpoint.safetensors")

    Names, logical shapes, dtypes and every bit are kept; the order of the names and the memory layout are not. The same
    content gives the same bytes. The write is atomic, see `write`.

    Args:
        obj: anything with `.state_dict()`, a mapping, list or tuple, or a tensor. In it are tensors, arrays, numbers,
            texts, None, lists, tuples and mappings; what is no array is kept as JSON in the file's header.
        path: of the file; its directory must exist.
        metadata: texts by name, kept in the file's header.

    Raises:
        TypeError: a metadata text is not a str, a value is of no such kind, or a dtype is unknown.
        ValueError: a name is reserved by the format, a text is not valid Unicode, or a container holds itself.
        FileNotFoundError: the directory does not exist.
        FileExistsError: the file is there and is of another kind, such as a checkpoint of PyTorch.
        ImportError: safetensors is missing.
        OSError: the disk is full or fails. The errors above are raised before anything is written.
    """
    numpy_io = _safetensors("save").numpy
    state, tree = _flat(obj)
    arrays = _arrays(state)
    texts = dict(metadata or {})
    for key, text in texts.items():
        if not isinstance(key, str) or not isinstance(text, str):
            raise TypeError(f"save: metadata maps str to str, got {key!r}: {text!r}")
        if key == nesting.KEY:
            raise ValueError(f"save: {key!r} is the name of tinyres's own text; rename it")
        _check_text(key)
        _check_text(text)
    texts |= {} if tree is None else {nesting.KEY: tree}
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(f"save: {target} needs the directory {target.parent}, which does not exist")
    refuse_foreign(target)
    write(target, _texts_in_order(numpy_io.save(arrays, metadata=texts or None)))


@explain_words
def load(path: PathLike, into: Stateful | None = None, *, map_location: Any = None, weights_only: bool = True) -> Any:
    """Read a safetensors file: NumPy arrays by name, which are also loaded into the module `into`, if given.

    A nested dictionary, a list or a tuple comes back as it was saved, with NumPy arrays in place of tensors.

    The whole file is read and checked before `into` is touched; its `load_state_dict` then says what does not fit.
    NumPy has no bfloat16, so such numbers become float32, which loses nothing, and a warning names them.

    Args:
        map_location, weights_only: for PyTorch's sake. Arrays come to the CPU ("cuda" must exist); all are weights.

    Raises:
        FileFormatError: the file is truncated, damaged, or of another format, or it holds a dtype NumPy lacks.
        FileNotFoundError: the file does not exist.
        TypeError: `into` has no `load_state_dict`, or the file holds a nested dictionary.
        ImportError: safetensors is missing.
    """
    if into is not None and not hasattr(into, "load_state_dict"):
        raise TypeError(f"load: into needs a load_state_dict method, and {type(into).__name__} has none")
    if str(map_location).startswith("cuda"):
        check_device("cuda")
    library = _safetensors("load")
    content = Path(path).read_bytes()
    try:
        state: Any = library.numpy.load(content)
    except (library.SafetensorError, ValueError) as error:  # ValueError: a shape that is no NumPy shape
        raise _not_safetensors(path, content, len(content), error) from error
    except KeyError:  # a dtype that the library cannot convert to NumPy's
        state = _widened(path, library.deserialize(content))
    tree = _header(content)[0].get("__metadata__", {}).get(nesting.KEY)
    if tree is not None:
        try:
            state = nesting.rebuild(tree, state)
        except ValueError as error:
            raise FileFormatError(f"{path}: {error}") from error
        if into is not None:
            keys = f" dictionary with the keys {', '.join(map(repr, state))}" if isinstance(state, dict) else ""
            raise TypeError(
                f"load: {path} holds a nested{keys or f' {type(state).__name__}'}: "
                "call load(path) and hand over the part, module.load_state_dict(loaded[key])"
            )
    if into is not None:
        into.load_state_dict(state)
    return state


def _header(content: bytes) -> tuple[dict[str, Any], int]:
    """What describes the tensors, and where they begin."""
    begin = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:begin]), begin


def _flat(obj: Any) -> tuple[Any, str | None]:
    """What `_arrays` takes, and the text that says how it was nested, if it was."""
    obj = obj.state_dict() if hasattr(obj, "state_dict") and not isinstance(obj, Mapping) else obj
    flat = isinstance(obj, Mapping) and not nesting.is_nested(obj, _is_array)
    held = not flat and (isinstance(obj, (Mapping, list, tuple)) or _is_array(obj))
    return nesting.flatten(obj, _is_array) if held else (obj, None)


def _is_array(value: Any) -> bool:
    return is_foreign(value) or hasattr(raw(value), "dtype")


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
            raise FileFormatError(
                f"{path}: {name!r} has shape {entry['shape']}, which a NumPy array cannot have"
            ) from error
    others = f" and {len(widened) - 1} more" if len(widened) > 1 else ""
    warnings.warn(f"{path}: {widened[0]}{others} came as bfloat16 and became float32", stacklevel=4)
    return state


def load_metadata(path: PathLike) -> dict[str, str]:
    """The metadata texts that `save` was given; empty if there were none. Raises what `load` raises."""
    library = _safetensors("load_metadata")
    with open(path, "rb") as file:  # raises Python's own error if the file does not exist
        beginning, size = file.read(64), os.fstat(file.fileno()).st_size
    try:
        with library.safe_open(path, framework="numpy") as opened:
            texts = dict(opened.metadata() or {})
    except library.SafetensorError as error:
        raise _not_safetensors(path, beginning, size, error) from error
    texts.pop(nesting.KEY, None)  # `load` makes use of it
    return texts


def _texts_in_order(content: bytes) -> bytes:
    """The same file with its metadata sorted by name: the library writes it in an arbitrary order."""
    header, begin = _header(content)
    texts = header.pop("__metadata__", {})
    if len(texts) < 2:
        return content
    header = {"__metadata__": dict(sorted(texts.items()))} | header
    line = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    line += b" " * (-len(line) % 8)  # pad it, so that the tensors behind it are aligned
    return b"".join([len(line).to_bytes(8, "little"), line, memoryview(content)[begin:]])


def _arrays(obj: Any) -> dict[str, Array]:
    """C-ordered arrays by name: files have no strides."""
    if not isinstance(obj, Mapping):
        raise TypeError(
            f"save: needs a module, or a dictionary, list or tuple of tensors, got {type(obj).__name__}; "
            "the order is save(obj, path)"
        )
    arrays = {}
    for name, value in obj.items():
        if name == "__metadata__":
            raise ValueError("save: a tensor cannot be called '__metadata__', which the format reserves; rename it")
        _check_text(name)
        array = foreign_array(value, f"save: {name!r}", values=True) if is_foreign(value) else raw(value)
        if not hasattr(array, "dtype"):
            raise TypeError(f"save: {name!r} must be a tensor or an array, got {type(value).__name__}")
        array = to_device(array, "cpu")
        if array.dtype.name not in DTYPES:
            raise TypeError(f"save: {name!r} has dtype {array.dtype}; the file can hold {', '.join(DTYPES)}")
        # not ascontiguousarray, which would turn the shape () into (1,)
        arrays[name] = np.asarray(array, order="C")
    return arrays


def write(path: PathLike, content: bytes | str) -> None:
    """Write a file atomically: `path` is the old file or the whole new one at any moment. Text is made `legible`.

    A killed process leaves at most a `.tinyres-*.tmp` beside it. If `path` is a symbolic link, the file that it points
    to is replaced; a device or a pipe, such as /dev/null, is written into.

    Raises:
        OSError: the disk is full or fails, or the folder does not exist; the old file is unchanged.
    """
    target = Path(os.path.realpath(path))
    content = legible(content).encode() if isinstance(content, str) else content
    if target.exists() and not target.is_file() and not target.is_dir():
        target.write_bytes(content)
        return
    temporary = target.with_name(f".tinyres-{secrets.token_hex(8)}.tmp")  # a rename is atomic within a directory only
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # else a power cut could leave an empty file under the new name
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException as error:  # a KeyboardInterrupt too
        with suppress(OSError):
            temporary.unlink()
        if not isinstance(error, OSError):
            raise
        why = error.strerror if target.parent.is_dir() else f"there is no folder {target.parent}"
        raise type(error)(error.errno, why, os.fspath(path)) from error  # not the name of the temporary file
    if os.name == "posix":  # other systems cannot open a directory
        directory = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(directory)  # puts the rename itself on disk
        finally:
            os.close(directory)


def _check_text(text: str) -> None:
    if legible(text) != text:
        raise ValueError(f"save: {text[:80]!r} is not valid Unicode, it holds a lone surrogate; rename it")


def legible(text: str) -> str:
    """`text` with `?` for each lone surrogate, which names of files or modules may hold but UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def write_json(path: PathLike, document: Any) -> None:
    """`plain(document)` as a JSON file, whole or not at all."""
    write(path, json.dumps(plain(document), indent=1) + "\n")


def write_figure(figure: Any, path: PathLike) -> None:
    """Save a matplotlib figure as a PNG file, atomically."""
    write(path, png(figure))


def png(figure: Any, description: str = "", numbers: str = "") -> bytes:
    """A matplotlib figure as PNG bytes, with texts in it about what it shows; the same figure gives the same bytes."""
    content = BytesIO()
    words = {"Software": None, "Description": description or None, "Numbers": numbers or None}
    figure.savefig(content, format="png", metadata=words)
    return content.getvalue()


def _not_safetensors(path: PathLike, content: bytes, size: int, error: Exception) -> FileFormatError:
    kind = kind_of(content)
    found = f"{size} bytes that begin with {content[:8]!r}{f': {kind}' if kind else ''}" if size else "an empty file"
    return FileFormatError(f"{path}: needs a complete safetensors file, got {found} ({error})")
