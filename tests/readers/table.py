"""Every reader of files and names that there is, each with an input that is right and with what it may answer."""

import gzip
import io
import json
import struct
import tarfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import markupsafe
import numpy as np
from PIL import Image

import tinyres as tr
from tinyres import data, gan, training
from tinyres.bench.gpu import parts
from tinyres.cli import main
from tinyres.data import cifar
from tinyres.data.mnist import read_pair
from tinyres.files import FileFormatError, legible
from tinyres.lab import report, seeds, sweep
from tinyres.lab.registry import EXPERIMENTS, Law, Options, Result, Table

SAMPLES = 3  # in each of CIFAR's files; the reader is told so


class Wrong(Exception):
    """An input was accepted, and what came of it is not what it says."""


@dataclass(frozen=True)
class Reader:
    """`whole`: an input that is right. `read(path)`: reads it from a file, and raises Wrong if what it got is not what
    the file says. `refusals`: what else it may raise, in a sentence that names the file."""

    whole: bytes
    read: Callable[[Path], object]
    refusals: tuple[type[Exception], ...]
    name: str = "file"


def right(condition: object, what: str = "another value than the file holds") -> None:
    if not condition:
        raise Wrong(what)


# -- IDX --------------------------------------------------------------------------------------------------------------
def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, {"u1": 8, "i2": 11, "f8": 14}[array.dtype.str[1:]],
                       array.ndim, *array.shape) + array.astype(array.dtype.newbyteorder(">")).tobytes()  # fmt: skip


def read_idx(path: Path) -> None:
    found, content = data.read_idx(path), path.read_bytes()
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    right(found.astype(found.dtype.newbyteorder(">")).tobytes() == content[4 + 4 * found.ndim :])
    right(struct.pack(f">B{found.ndim}I", found.ndim, *found.shape) == content[3 : 4 + 4 * found.ndim])


def read_labels(path: Path) -> None:
    images = path.with_name("images")
    images.write_bytes(idx(np.zeros((6, 28, 28), "u1")))
    found = read_pair(images, path, name="six")
    right(found.targets.tolist() == list(path.read_bytes()[8:]))


# -- CIFAR ------------------------------------------------------------------------------------------------------------
def archive() -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for k, name in enumerate([*cifar.TRAIN, *cifar.TEST]):
            content = np.random.default_rng(k).integers(0, 10, SAMPLES * cifar.ROW).astype("u1").tobytes()
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return raw.getvalue()


def read_archive(path: Path) -> None:
    found, content = cifar.read_archive(path), gzip.decompress(path.read_bytes())
    right(found.keys() == {*cifar.TRAIN, *cifar.TEST})
    right(all(rows.shape == (SAMPLES, cifar.ROW) and rows.tobytes() in content for rows in found.values()))


def read_packed(path: Path) -> None:
    """The tar itself is damaged, and packed when it is."""
    path.write_bytes(gzip.compress(path.read_bytes(), 1))
    read_archive(path)


# -- safetensors, and the runs in them --------------------------------------------------------------------------------
HEADER = (b'{"__metadata__":{"by":"1.5"},"w":{"dtype":"F32","shape":[3,4],"data_offsets":[0,48]},'
          b'"half":{"dtype":"BF16","shape":[2,2],"data_offsets":[48,56]}}')  # fmt: skip


def states() -> dict[str, np.ndarray]:
    return {"w": np.arange(12, dtype="f4").reshape(3, 4), "steps": np.array(7), "half": np.ones(3, "f2")}


def packed(arrays: dict[str, object], texts: dict[str, str], folder: Path) -> bytes:
    tr.save(arrays, folder / "packed", texts)
    return (folder / "packed").read_bytes()


def read_tensors(path: Path) -> None:
    found, texts, content = tr.load(path), tr.load_metadata(path), path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header, values = json.loads(content[8 : 8 + length]), content[8 + length :]
    right(header.pop("__metadata__", {}) == texts)
    right(header.keys() == found.keys())
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        if entry["dtype"] == "BF16":  # its upper half is what the file holds
            right(found[name].dtype == np.float32 and (found[name].view("u4") & 0xFFFF == 0).all())
            found[name] = (found[name].view("u4") >> 16).astype("<u2")
        right(list(found[name].shape) == entry["shape"] and found[name].tobytes() == values[start:end])


def read_header(path: Path) -> None:
    """The header alone is damaged: its length is right again, and the numbers follow."""
    header = path.read_bytes()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(range(56)))
    read_tensors(path)


def read_text(path: Path, key: str, read: Callable[[Path], None]) -> None:
    """A text in the header of a saved run is damaged; the file around it is whole."""
    whole = path.with_name("whole")
    damaged = path.read_bytes().decode(errors="replace")
    tr.save(tr.load(whole), path, tr.load_metadata(whole) | {key: damaged})
    read(path)


def settled(path: Path, fresh: Callable[[], object], resume: Callable, save: Callable, key: str) -> None:
    """A run that was accepted says of itself what the file says."""
    again = resume(fresh(), path)
    other = path.with_name("again")
    save(again, other)
    said, now = (json.loads(tr.load_metadata(where)[key]) for where in (path, other))
    for part in ("step", "scores"):
        right(json.dumps(said.get(part)) == json.dumps(now.get(part)), f"{part} is {now.get(part)!r}")
    right(all(np.array_equal(value, tr.load(other)[name], equal_nan=True) for name, value in tr.load(path).items()))


RECIPE = training.Recipe(arch="mlp", depth=3, width=4, steps=3, batch_size=512)
GAN = gan.GANRecipe.of("nonsaturating", "ring8", steps=2, width=4, batch_size=64)


def read_run(path: Path) -> None:
    training.saved_recipe(path)
    settled(path, lambda: training.prepare(RECIPE), training.resume, training.save, "run")


def read_gan(path: Path) -> None:
    gan.load_players(path)
    settled(path, lambda: gan.prepare(GAN), gan.resume, gan.save, "gan")


# -- tables and documents ---------------------------------------------------------------------------------------------
FOUND = sweep.Finding("ok", 1 / 3, 0.3, 0.9, 1e-300, 2.0, -1.5, 12, 5, 0.5)
POINTS = {training.Recipe(seed=seed): replace(FOUND, parameters=seed) for seed in range(4)}


def table(folder: Path) -> bytes:
    with sweep.Results(folder / "sweep.csv") as results:
        for recipe, finding in POINTS.items():
            results.add(recipe, finding)
    return (folder / "sweep.csv").read_bytes()


def read_table(path: Path) -> None:
    with sweep.Results(path) as results:
        there = [recipe for recipe in POINTS if recipe in results]
        right(all(results[recipe] == POINTS[recipe] for recipe in there), "a finding that nobody measured")
        right(len(there) == len(results), "a point that nobody ran")


def experiment(folder: Path) -> bytes:
    laws = [Law("a law", 1.0, 1.1, 0.2, "exact", "a paper"), Law("seen", 2.0, float("nan"), float("nan"), "figure", "")]
    tables = [Table("A table", ("a", "b"), [(1.0, "x"), (None, "y")])]
    report.save(EXPERIMENTS["E3"], Result(laws, tables, data={"curve": [1.0, 2.0]}), Options(), 0.0, folder)
    return (folder / "E3.json").read_bytes()


def read_experiment(path: Path) -> None:
    """The page is made, whatever lies in the folder; it shows the experiment, or names the file as left out."""
    page = report.write_page(path.parent).read_text()
    if f"unreadable: {path.name}" in page:
        raise FileFormatError(f"{path}: left out")
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise Wrong("it is no JSON, and nobody says so") from error
    right(document.get("format") == report.files.FORMAT, "it is none of ours, and on the page")
    right(f'id="{legible(str(markupsafe.escape(document["name"])))}' in page, "it is not on the page")


def seed(folder: Path) -> seeds.Seed:
    return seeds.Seed("E3", Options(), folder, pictures=False)


def kept(folder: Path) -> bytes:
    one = seed(folder)
    one.path.parent.mkdir(exist_ok=True)
    document = json.loads(experiment(folder)) | {"code": seeds.code(), "options": seeds.plain(vars(one.options))}
    return json.dumps(document | {"check": seeds._check(document)}).encode()


def read_kept(path: Path) -> None:
    """What was kept is taken as it is, or not at all: then the seed runs again, and nothing has to be said."""
    one = seed(path.parent)
    one.path.parent.mkdir(exist_ok=True)
    one.path.write_bytes(path.read_bytes())
    document = seeds.kept(one)
    if document is None:
        raise FileFormatError(f"{path}: runs again")
    right(document["laws"][0]["measured"] == 1.0 and document["seconds"] == 0.0, "a figure that nobody measured")


ROWS = b'{"part": "card", "name": "a", "on": "x", "s": 1.5}\n{"part": "card", "name": "b", "on": "x", "s": 2}\n'


def read_rows(path: Path) -> None:
    """What is no row is left out."""
    for row in parts.read(path.parent):
        right(isinstance(row, dict))


# -- your own images ------------------------------------------------------------------------------------------------
def own(folder: Path) -> bytes:
    rng = np.random.default_rng(0)
    np.savez_compressed(folder / "own.npz", x=rng.integers(0, 256, (6, 4, 3), "u1"), y=np.arange(6) % 2)
    return (folder / "own.npz").read_bytes()


def read_own(path: Path) -> None:
    found = data.npz(path)
    with np.load(path) as arrays:
        right(sum(map(len, found)) == len(next(iter(arrays.values()))))
    for part in found:
        right(np.isfinite(part.inputs).all() and part.inputs.min() >= 0 and part.inputs.max() <= 1)
        right(part.targets.min() >= 0 and part.targets.max() < part.classes)


def image(kind: str) -> bytes:
    made = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), "u1")
    Image.fromarray(pixels).save(made, kind)
    return made.getvalue()


def read_image(path: Path) -> None:
    """It is one of two images; the other is whole."""
    for label in ("a", "b"):
        path.with_name(label).mkdir(exist_ok=True)
    damaged = path.with_name("a") / "damaged.png"
    damaged.write_bytes(path.read_bytes())
    (path.with_name("b") / "whole.png").write_bytes(image("PNG"))
    try:
        found = data.folder(path.parent, labelled=False, image_size=4).train
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    right(found.inputs.shape == (2, 3, 4, 4) or found.inputs.shape == (2, 1, 4, 4))


# -- text -------------------------------------------------------------------------------------------------------------
def read_text_file(path: Path) -> None:
    train, test = data.text(str(path), context=8)
    content = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    right("".join(train.class_names) == "".join(sorted(set(content))))
    said = "".join(train.class_names[i] for i in data.text_of(train))
    right(content.startswith(said))
    right("".join(test.class_names[i] for i in data.text_of(test)) in content)


def write_writer(folder: Path) -> None:
    (folder / "own.txt").write_text("the cat sat on the mat. " * 9, encoding="utf-8")
    recipe = training.Recipe("gpt", f"text:{folder / 'own.txt'}", depth=1, width=4, context=8, steps=1)
    run = training.prepare(recipe)
    about = {"settings": run.model.settings, "characters": run.test.class_names}
    (folder / "gpt").mkdir()
    tr.save(run.model, folder / "gpt" / "model.safetensors", {"gpt": json.dumps(about)})


def read_writer(path: Path) -> None:
    writer = training.Writer(path)
    said = writer.write("", 4, rng=0)
    right(len(said) == 4 and set(said) <= set(writer.characters))
    for name, array in tr.load(path).items():
        right(np.array_equal(writer.model.state_dict()[name].numpy(), array, equal_nan=True))


# -- names ------------------------------------------------------------------------------------------------------------
def read_name(path: Path) -> None:
    """`--data NAME`: a command that ends with 2 and one line."""
    name = path.read_bytes().decode(errors="surrogateescape").replace("\0", "")
    if name in data.BY_NAME:
        return
    said, out = io.StringIO(), io.StringIO()
    try:
        with redirect_stderr(said), redirect_stdout(out):
            status = main(["train", "mlp", f"--data={name}", "--steps", "1", "--out", str(path.with_name("out"))])
    except SystemExit as stopped:
        status = stopped.code
    right(status == 2, f"status {status}")
    right("Traceback" not in said.getvalue() and not path.with_name("out").exists())
    raise ValueError(f"{path}: {' '.join(said.getvalue().split())}")


def readers(folder: Path) -> dict[str, Reader]:
    """All of them, made anew: `folder` is where their inputs are made."""
    cifar.SAMPLES = SAMPLES
    pixels = np.arange(60, dtype="i2").reshape(3, 4, 5)
    run, trainer = training.prepare(RECIPE), gan.prepare(GAN)
    for each in (run, trainer):
        for _ in each.steps():
            pass
    training.save(run, folder / "run")
    gan.save(trainer, folder / "gan")
    write_writer(folder)
    checkpoint = (training.CheckpointError, FileFormatError)
    files = {name: (folder / name).read_bytes() for name in ("run", "gan")}
    texts = {name: tr.load_metadata(folder / name) for name in ("run", "gan")}

    def text_of(name: str, key: str, read: Callable[[Path], None]) -> Reader:
        def put(path: Path) -> None:
            path.with_name("whole").write_bytes(files[name])
            read_text(path, key, read)

        return Reader(texts[name][key].encode(), put, checkpoint)

    return {
        "IDX": Reader(idx(pixels), read_idx, (FileFormatError,)),
        "IDX, packed": Reader(gzip.compress(idx(pixels), mtime=0), read_idx, (FileFormatError,)),
        "MNIST's labels": Reader(idx(np.arange(6, dtype="u1")), read_labels, (FileFormatError,)),
        "CIFAR": Reader(gzip.compress(archive(), 1, mtime=0), read_archive, (FileFormatError,)),
        "CIFAR, the tar in it": Reader(archive(), read_packed, (FileFormatError,)),
        "safetensors": Reader(packed(states(), {"by": "1.5"}, folder), read_tensors, (FileFormatError,)),
        "a run": Reader((folder / "run").read_bytes(), read_run, checkpoint),
        "a GAN's run": Reader((folder / "gan").read_bytes(), read_gan, checkpoint),
        "safetensors, the header": Reader(HEADER, read_header, (FileFormatError,)),
        "a run, the header": text_of("run", "run", read_run),
        "a run, its optimiser": text_of("run", "optimizer", read_run),
        "a GAN's run, the header": text_of("gan", "gan", read_gan),
        "a GAN's run, an optimiser": text_of("gan", "optimizer of generator", read_gan),
        "rows of a GPU report": Reader(ROWS, read_rows, (), parts.ROWS),
        "sweep.csv": Reader(table(folder), read_table, (sweep.ResultsError,), "sweep.csv"),
        "an experiment": Reader(experiment(folder), read_experiment, (FileFormatError,), "E3.json"),
        "a kept seed": Reader(kept(folder), read_kept, (FileFormatError,)),
        "own arrays": Reader(own(folder), read_own, (ValueError,), "own.npz"),
        "an image, PNG": Reader(image("PNG"), read_image, (ValueError,), "image"),
        "an image, JPEG": Reader(image("JPEG"), read_image, (ValueError,), "image"),
        "a text": Reader(("Straße\r\n" * 9).encode(), read_text_file, (ValueError,)),
        "a model of text": Reader((folder / "gpt" / "model.safetensors").read_bytes(), read_writer, (ValueError,)),
        "--data": Reader(b"fashion-mnist", read_name, (ValueError,)),
    }
