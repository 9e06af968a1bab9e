"""Files: damage, foreign formats, full disks and killed processes, none of which costs the file that was there."""

import json
import os
import pickle
import signal
import stat
import struct
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import tinyres as tr
from tests.files.saved import NEW, OLD, alone, same
from tinyres.files import FileFormatError, load, load_metadata, save

# -- what is refused on reading ---------------------------------------------------------------------------------------


def refuses(path, says="complete safetensors file"):
    for read in (load, load_metadata):
        with pytest.raises(FileFormatError, match=says) as caught:
            read(path)
        assert str(path) in str(caught.value)


def test_every_truncation_is_noticed(path):
    save(OLD, path, {"made by": "tinyres"})
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        refuses(path, f"got {length} bytes" if length else "got an empty file")
    path.write_bytes(whole + b"\0")
    refuses(path)


def test_a_flipped_bit_is_refused_or_harmless(path):
    """A header has no checksum: a changed letter of a name is another name. What must not come is any other error."""
    whole = path.read_bytes()
    (length,) = struct.unpack("<Q", whole[:8])
    refused = 0
    for position in range(8 + length):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[position] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                state = load(path)
            except FileFormatError:
                refused += 1
            else:
                assert position >= 8, "a wrong length of the header went through"
                assert sum(array.nbytes for array in state.values()) <= len(whole) - 8 - length
    assert refused > 4 * (8 + length)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "got an empty file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "a PNG image"),
        (pickle.dumps({"w": [1.0] * 50}), "a pickle"),
        (b"PK\x03\x04" + bytes(200), "a ZIP archive"),
        (b"\x93NUMPY\x01\x00" + bytes(200), "a NumPy .npy array"),
        (b"epoch,loss\n0,2.3\n1,1.9\n", "b'epoch,lo'"),
        (bytes(1000), "1000 bytes"),
    ],
)
def test_foreign_files(tmp_path, content, says):
    (tmp_path / "foreign").write_bytes(content)
    refuses(tmp_path / "foreign", says)


@pytest.mark.parametrize("content", [b"PK\x03\x04" + bytes(200), pickle.dumps([1.0] * 50), b"\x89PNG\r\n\x1a\n"])
def test_weights_do_not_take_the_place_of_a_file_of_another_kind(tmp_path, content):
    """A script that was ported saves under the name that PyTorch's checkpoint has."""
    (tmp_path / "net.pt").write_bytes(content)
    with pytest.raises(
        FileExistsError, match=r"net.pt is there, and is a.* give the file another name, net.safetensors"
    ):
        save({"w": np.ones(3)}, tmp_path / "net.pt")
    assert (tmp_path / "net.pt").read_bytes() == content
    for _ in range(2):  # over its own files it writes
        save({"w": np.ones(3)}, tmp_path / "new.pt")
    (tmp_path / "text.pt").write_text("anything else")
    save({"w": np.ones(3)}, tmp_path / "text.pt")
    assert load(tmp_path / "text.pt")["w"].tolist() == [1, 1, 1]


def test_a_truncated_file_is_not_taken_for_a_pickle(path):
    header = b'{"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}'.ljust(128)  # its length, 128, is a pickle's mark
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"123")
    with pytest.raises(FileFormatError) as caught:
        load(path)
    assert "pickle" not in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "content", "says"),
    [
        ('"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]', b"12", "dtype F8_E4M3, which NumPy does not have"),
        (
            '"dtype":"BF16","shape":[0,18446744073709551615],"data_offsets":[0,0]',
            b"",
            "which a NumPy array cannot have",
        ),
        ('"dtype":"F32","shape":[0,18446744073709551615],"data_offsets":[0,0]', b"", "complete safetensors file"),
        ('"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]', b"1234", "complete safetensors file"),
        ('"dtype":"F32","shape":[3],"data_offsets":[0,4]', b"1234", "complete safetensors file"),
        ('"dtype":"F32","shape":[1],"data_offsets":[4,8]', b"12345678", "complete safetensors file"),
    ],
)
def test_headers_that_ask_for_the_impossible(tmp_path, entry, content, says):
    header = ('{"x":{' + entry + "}}").encode()
    (tmp_path / "x").write_bytes(struct.pack("<Q", len(header)) + header + content)
    with pytest.raises(FileFormatError, match=says):
        load(tmp_path / "x")


def test_bfloat16_becomes_float32_and_that_is_said(tmp_path):
    halves = np.array([1.0, -2.5, 3e38, 1e-40, np.inf], np.float32).view(np.uint32) >> 16 << 16
    entries = {"a": ("BF16", [5]), "b": ("BF16", []), "c": ("I16", [2]), "d": ("BOOL", [1, 2])}
    content = [(halves >> 16).astype("<u2").tobytes(), b"\x80\x3f", b"\x01\0\xff\xff", b"\1\0"]
    ends = np.cumsum([0, *map(len, content)]).tolist()
    header = json.dumps({
        name: {"dtype": dtype, "shape": shape, "data_offsets": ends[k : k + 2]}
        for k, (name, (dtype, shape)) in enumerate(entries.items())
    }).encode()  # fmt: skip
    path = tmp_path / "x"
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"".join(content))
    with pytest.warns(UserWarning, match=rf"^{path}: (a|b) and 1 more came as bfloat16 and became float32$") as caught:
        state = load(path)
    assert [warning.filename for warning in caught] == [__file__]
    values = {"a": halves.view(np.float32), "b": np.ones((), "f"), "c": np.array([1, -1], "i2")}
    same(state, values | {"d": np.array([[True, False]])})


def test_missing_files(tmp_path):
    for read in (load, load_metadata):
        with pytest.raises(FileNotFoundError, match="nothing"):
            read(tmp_path / "nothing")
        with pytest.raises(OSError, match=tmp_path.name):
            read(tmp_path)


# -- writing, interrupted ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_error_while_writing_leaves_the_old_file_alone(path, monkeypatch, step, error):
    before = path.read_bytes()

    def fail(*args):
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(error)):
        save(NEW, path)
    assert path.read_bytes() == before
    alone(path)


def test_the_order_that_survives_a_power_cut(path, monkeypatch):
    """Bytes on disk, then the name, then the directory that holds the name."""
    calls = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor):
        status = os.fstat(descriptor)
        calls.append("directory" if stat.S_ISDIR(status.st_mode) else f"file of {status.st_size}")
        fsync(descriptor)

    def note_replace(source, target):
        calls.append("replace")
        assert os.path.dirname(source) == os.path.dirname(target)
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    save(NEW, path)
    assert calls == [f"file of {path.stat().st_size}", "replace", "directory"]
    same(load(path), NEW)
    alone(path)


def child(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_killed_before_the_file_is_in_place(path, step):
    before = path.read_bytes()
    code = """
        import os, sys, time
        import numpy as np
        from tinyres.files import save
        def hang(*args):
            print("there", flush=True)
            time.sleep(60)
        setattr(os, sys.argv[2], hang)
        save({"w": np.ones(1000)}, sys.argv[1])
    """
    with child(code, path, step) as process:
        assert process.stdout.readline() == "there\n"
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert path.read_bytes() == before
    same(load(path), OLD)
    (orphan,) = (entry for entry in path.parent.iterdir() if entry != path)
    assert orphan.match(".tinyres-*.tmp")  # as documented, and in nobody's way:
    save(NEW, path)
    same(load(path), NEW)


@pytest.mark.slow
def test_killed_anywhere_in_a_loop_of_writes(path):
    code = """
        import itertools, sys
        import numpy as np
        from tinyres.files import save
        for i in itertools.count():
            save({"w": np.full(200_000, i)}, sys.argv[1])
            if i == 0:
                print("written", flush=True)
    """
    for delay in (0.001, 0.002, 0.003, 0.005, 0.007, 0.011, 0.013, 0.017):
        with child(code, path) as process:
            assert process.stdout.readline() == "written\n"
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(delay)
            process.kill()
        state = load(path)
        assert state["w"].shape == (200_000,)
        assert len(np.unique(state["w"])) == 1  # one save's, not a mixture of two


def test_a_device_that_is_missing_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    tr.save({"w": np.ones(2)}, path)
    assert tr.load(path, map_location="cpu")["w"].shape == (2,)
    if not tr.cuda.is_available():
        with pytest.raises(RuntimeError, match="the device 'cuda' needs"):
            tr.load(path, map_location=tr.device("cuda:0"))
