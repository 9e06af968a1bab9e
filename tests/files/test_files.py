"""Files: what is written comes back bit for bit, and what cannot be written is refused before anything is."""

import json
import os
import stat
import struct
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyres as tr
import tinyres.nn
from tests.files.saved import NEW, OLD, alone, same
from tinyres import files
from tinyres.files import FileFormatError, load, load_metadata, save, write

# -- the round trip ---------------------------------------------------------------------------------------------------

DTYPES = st.sampled_from(files.DTYPES).map(np.dtype)
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4))


@given(state=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), ARRAYS, max_size=4), data=st.data())
def test_round_trip(tmp_path_factory, state, data):
    state.pop("__metadata__", None)
    given_ = {}
    for name, array in state.items():  # the same numbers in other layouts
        how = data.draw(st.sampled_from(["as is", "fortran", "strided", "read-only", "permuted", "big-endian"]))
        if how == "fortran":
            array = np.asfortranarray(array) if array.ndim else array
        elif how == "strided" and array.ndim:
            array = np.repeat(array, 2, axis=-1)[..., ::2]
        elif how == "read-only":
            array.flags.writeable = False
        elif how == "permuted":
            array = array.transpose(data.draw(st.permutations(range(array.ndim))))
        elif how == "big-endian":
            array = array.astype(array.dtype.newbyteorder(">"))
        given_[name] = array
    path = tmp_path_factory.getbasetemp() / "round-trip.safetensors"
    save(given_, path)
    loaded = load(path)
    same({name: a.astype(a.dtype.newbyteorder("=")) for name, a in given_.items()}, loaded)
    for array in loaded.values():
        assert array.flags.writeable
        assert array.flags.c_contiguous


def test_odd_numbers_keep_their_bits(tmp_path):
    bits = np.array([0x7FC00001, 0xFFC12345, 0x7F800001, 0x7F800000, 0xFF800000, 0x80000000, 1], np.uint32)
    save({"x": bits.view(np.float32)}, tmp_path / "odd")
    np.testing.assert_array_equal(load(tmp_path / "odd")["x"].view(np.uint32), bits)


def test_tensors_and_channels_last_weights(tmp_path):
    memory = np.random.default_rng(0).standard_normal((3, 3, 4, 8), dtype=np.float32)  # (KH, KW, C, O)
    weight = tr.tensor(memory, requires_grad=True)
    weight.data = memory.transpose(3, 2, 0, 1)  # (O, C, KH, KW)
    save({"weight": weight, "scalar": np.float64(2.5)}, tmp_path / "w")
    loaded = load(tmp_path / "w")
    assert loaded["weight"].shape == (8, 4, 3, 3)
    np.testing.assert_array_equal(loaded["weight"], weight.data)
    assert loaded["scalar"].shape == ()


def test_any_reader_of_the_format_can_read_it(path):
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    assert b'"w":{"dtype":"F32","shape":[3,4]' in content[8 : 8 + length]
    assert OLD["w"].tobytes() in content[8 + length :]


def test_metadata(path):
    assert load_metadata(path) == {}
    texts = {"made by": "tinyres", "größe": "π"}
    save(OLD, path, texts)
    assert load_metadata(path) == texts
    same(load(path), OLD)


# -- modules ----------------------------------------------------------------------------------------------------------


def layer(seed):
    made = tr.nn.Conv2d(3, 4, 2)
    rng = np.random.default_rng(seed)
    made.load_state_dict({name: rng.standard_normal(value.shape) for name, value in made.state_dict().items()})
    return made


def state_of(module):
    return {name: value.numpy() for name, value in module.state_dict().items()}


def test_out_of_one_module_and_into_another(tmp_path):
    first, second = layer(1), layer(2)
    save(first, tmp_path / "conv")
    same(load(tmp_path / "conv"), state_of(first))
    same(load(tmp_path / "conv", into=second), state_of(first))
    same(state_of(second), state_of(first))
    assert second.weight.data.strides == first.weight.data.strides  # still what the kernels read without a copy


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"bias": np.ones(5)}, "wrong shape: bias"),
        ({"other": np.ones(1)}, "unexpected: other"),
        ({"bias": None}, "missing: bias"),
    ],
)
def test_what_does_not_fit_is_the_modules_error_and_leaves_it_as_it_was(tmp_path, change, says):
    module = layer(2)
    before = state_of(module)
    state = {**state_of(layer(1)), **change}
    save({name: value for name, value in state.items() if value is not None}, tmp_path / "conv")
    with pytest.raises(RuntimeError, match=says):
        load(tmp_path / "conv", into=module)
    same(state_of(module), before)


def test_a_damaged_file_does_not_reach_the_module(path):
    class Untouchable:
        def load_state_dict(self, state):
            pytest.fail("was handed a damaged file's state")

    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FileFormatError):
        load(path, into=Untouchable())
    with pytest.raises(TypeError, match="dict has none"):
        load(path, into={})


# -- what is refused before anything is written -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "error", "says"),
    [
        ({(1, 2): np.zeros(1)}, TypeError, r"a key of the whole must be a text or a number, got \(1, 2\) of tuple"),
        ({"x": np.zeros(1, complex)}, TypeError, "'x' has dtype complex128"),
        ({"x": np.zeros(1, np.complex64)}, TypeError, "'x' has dtype complex64"),
        ({"x": np.array([None])}, TypeError, "'x' has dtype object"),
        ({"x": np.array(["a"])}, TypeError, "'x' has dtype <U1"),
        ({"x": np.zeros(1, "f4,f4")}, TypeError, "'x' has dtype"),
        ({"x": np.zeros(1, "M8[s]")}, TypeError, "'x' has dtype datetime64"),
        ({"x": {"y": {1, 2}}}, TypeError, "'x.y' must be a tensor, an array, a number, .* got set"),
        ({"x": {"y": np.zeros(1, complex)}}, TypeError, "'x.y' has dtype complex128"),
        ({"x": tr.nn.Linear(1, 1)}, TypeError, r"'x' must be .* got Linear: hand over its .state_dict\(\)"),
        ({"__metadata__": np.zeros(1)}, ValueError, "__metadata__"),
        ({"\ud800": np.zeros(1)}, ValueError, r"save: '\\ud800' is not valid Unicode, it holds a lone surrogate"),
        (3, TypeError, "needs a module, or a dictionary, list or tuple of tensors, got int"),
        ([tr.nn.Linear(1, 1)], TypeError, r"'0' must be .* got Linear: hand over its .state_dict\(\)"),
        ("model.safetensors", TypeError, r"got str; the order is save\(obj, path\)"),
    ],
)
def test_refused_states(path, state, error, says):
    before = path.read_bytes()
    if isinstance(state, dict):
        state = {"a good one": np.zeros(2), **state}
    with pytest.raises(error, match=says):
        save(state, path)
    assert path.read_bytes() == before
    alone(path)


def test_refused_metadata_and_paths(path):
    before = path.read_bytes()
    for metadata in ({"epoch": 3}, {3: "epoch"}):
        with pytest.raises(TypeError, match="metadata maps str to str"):
            save(NEW, path, metadata)
    with pytest.raises(FileNotFoundError, match="nowhere, which does not exist"):
        save(NEW, path.parent / "nowhere" / "x")
    (path.parent / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        save(NEW, path.parent / "folder")
    (path.parent / "folder").rmdir()
    assert path.read_bytes() == before
    alone(path)


def test_missing_package(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    for call in (lambda: save(NEW, path), lambda: load(path), lambda: load_metadata(path)):
        with pytest.raises(ImportError, match=r"pip install 'tinyres\[lab\]'"):
            call()


# -- the neighbourhood ------------------------------------------------------------------------------------------------


def test_permissions_and_links(path):
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask  # like any file, not private like most temporary ones
    path.chmod(0o640)
    save(NEW, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    link = path.parent / "latest"
    link.symlink_to(path.name)
    save(OLD, link)
    assert link.is_symlink()
    same(load(path), OLD)


@pytest.mark.skipif(os.name != "posix", reason="a pipe with a name")
def test_a_pipe_or_device_is_written_into_and_not_replaced(path):
    pipe = path.with_name("pipe")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write(pipe, "seen")
    assert os.read(reader, 10) == b"seen"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_str_paths_and_relative_ones(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    save(NEW, "model.safetensors")
    same(load("model.safetensors"), NEW)
    assert load_metadata("model.safetensors") == {}
    alone(path)


def test_the_same_content_is_the_same_bytes(tmp_path):
    """The library keeps texts by the hash of their names, which is drawn anew for each file."""
    texts = {f"text {i}": "é" * i for i in range(20)}
    for i, some in enumerate((texts, dict(reversed(texts.items())))):
        save({"w": np.arange(3.0)}, tmp_path / str(i), some)
    content = (tmp_path / "0").read_bytes()
    assert content == (tmp_path / "1").read_bytes()
    assert load_metadata(tmp_path / "0") == texts
    assert load(tmp_path / "0")["w"].tolist() == [0.0, 1.0, 2.0]
    begin = 8 + int.from_bytes(content[:8], "little")
    assert (begin % 8, len(content) - begin) == (0, 24)
    assert list(json.loads(content[8:begin])["__metadata__"]) == sorted(texts)


def test_scripts_for_pytorch_load_weights_with_its_arguments(tmp_path):
    one, other = tr.nn.Linear(2, 3, rng=0), tr.nn.Linear(2, 3, rng=1)
    tr.save(one.state_dict(), tmp_path / "weights.pt")
    other.load_state_dict(tr.load(tmp_path / "weights.pt", map_location="cpu", weights_only=True))
    np.testing.assert_array_equal(other.weight.numpy(), one.weight.numpy())


def test_an_error_of_writing_names_the_file_and_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        write(tmp_path / "no" / "x.txt", "text")
    assert caught.value.filename == str(tmp_path / "no" / "x.txt")
    assert caught.value.strerror == f"there is no folder {tmp_path / 'no'}"
    (tmp_path / "file").write_text("a file")
    with pytest.raises(OSError, match="there is no folder") as caught:
        write(tmp_path / "file" / "x.txt", "text")
    assert "tinyres-" not in str(caught.value)
