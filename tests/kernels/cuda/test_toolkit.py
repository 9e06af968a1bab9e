"""Where NVIDIA's compiler is looked for, and what is said where it is not."""

from types import SimpleNamespace
from unittest import mock

import pytest

host = pytest.importorskip("tinyres_kernels.cuda.host", reason="NO NUMBA.CUDA", exc_type=ImportError)

from tinyres_kernels.cuda import toolkit  # noqa: E402

pytestmark = pytest.mark.skipif(host.SIMULATED, reason="in the simulator nothing is compiled")


class NotFound(Exception):
    """As pathfinder raises it."""


@pytest.fixture
def bare(monkeypatch):
    """A machine on which Numba finds NVVM only once it is loaded, and libdevice only in CUDA_HOME."""
    import os

    from numba.cuda import cuda_paths

    loaded, asked = [], []

    def get_cuda_paths():
        asked.append(os.environ.get("CUDA_HOME"))
        if not loaded:
            raise NotFound("Failure finding libnvvm.so")
        if not hasattr(get_cuda_paths, "kept"):  # as Numba's does
            get_cuda_paths.kept = os.path.join(os.environ["CUDA_HOME"], toolkit.DEVICE)
        return {"libdevice": SimpleNamespace(info=get_cuda_paths.kept)}

    for name in ("CUDA_HOME", "CUDA_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(toolkit.sys, "path", [])
    monkeypatch.setattr(cuda_paths, "get_cuda_paths", get_cuda_paths)
    monkeypatch.setattr(toolkit.ctypes, "CDLL", loaded.append)
    with mock.patch.object(toolkit, "SYSTEM", "/nowhere"):
        toolkit.find_nvvm.cache_clear()
        yield SimpleNamespace(loaded=loaded, asked=asked)
    toolkit.find_nvvm.cache_clear()


def make_toolkit(home, library="nvvm/lib64/libnvvm.so.4"):
    for name in (toolkit.DEVICE, library, "bin/nvcc"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).touch(mode=0o755)
    return str(home / library)


@pytest.mark.parametrize("way", ["CUDA_HOME", "CUDA_PATH", "nvcc", "nvcc by a link", "wheel", "system"])
def test_nvvm_is_found(bare, way, tmp_path, monkeypatch):
    home = tmp_path / "nvidia" / "cu13"
    library = make_toolkit(home, "lib/libnvvm.so.4" if way == "wheel" else "nvvm/lib64/libnvvm.so.4")
    if way.startswith("CUDA"):
        monkeypatch.setenv(way, str(home))
    elif way == "nvcc":
        monkeypatch.setenv("PATH", str(home / "bin"))
    elif way == "nvcc by a link":
        (tmp_path / "somewhere" / "bin").mkdir(parents=True)
        (tmp_path / "somewhere" / "bin" / "nvcc").symlink_to(home / "bin" / "nvcc")
        monkeypatch.setenv("PATH", str(tmp_path / "somewhere" / "bin"))
    elif way == "wheel":
        monkeypatch.setattr(toolkit.sys, "path", [str(tmp_path)])
    else:
        monkeypatch.setattr(toolkit, "SYSTEM", str(home))
    toolkit.find_nvvm()
    assert bare.loaded == [library]
    assert len(bare.asked) == 2
    toolkit.find_nvvm()
    assert len(bare.asked) == 2  # once a process


def test_a_home_with_half_a_toolkit_is_passed_over(bare, tmp_path, monkeypatch):
    (tmp_path / "half" / "nvvm" / "libdevice").mkdir(parents=True)
    (tmp_path / "half" / toolkit.DEVICE).touch()
    library = make_toolkit(tmp_path / "whole")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "half"))
    monkeypatch.setenv("PATH", str(tmp_path / "whole" / "bin"))
    toolkit.find_nvvm()
    assert bare.loaded == [library]
    assert toolkit.os.environ["CUDA_HOME"] == str(tmp_path / "half")  # for others as it was


def test_a_libdevice_that_is_not_there_is_looked_for_again(bare, tmp_path, monkeypatch):
    bare.loaded.append("libnvvm.so.4")  # which the system's loader finds, beside a CUDA_HOME without a compiler
    make_toolkit(tmp_path)
    monkeypatch.setenv("CUDA_HOME", "/elsewhere")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    toolkit.find_nvvm()
    assert len(bare.asked) == 2


def test_without_nvvm_one_sentence_says_where_was_looked_and_what_to_do(bare, monkeypatch):
    monkeypatch.setenv("CUDA_HOME", "/elsewhere")
    looked = (
        r"CUDA_HOME \(/elsewhere\), CUDA_PATH \(not set\), nvcc's folder \(not on PATH\), /nowhere, NVIDIA's wheels"
    )
    with pytest.raises(RuntimeError, match=looked + r"; pip install 'numba-cuda\[cu13\]'") as told:
        toolkit.find_nvvm()
    assert isinstance(told.value.__cause__, NotFound)
    assert "(Failure finding libnvvm.so)" in str(told.value)


def test_only_the_thread_that_compiles_is_told_a_capability():
    from threading import Thread

    from numba.cuda import dispatcher

    seen = []
    with mock.patch.object(dispatcher, "get_current_device", return_value="the device"):
        with toolkit.compiling_for((9, 0)):
            other = Thread(target=lambda: seen.append(dispatcher.get_current_device()))
            other.start()
            other.join()
            assert dispatcher.get_current_device().compute_capability == (9, 0)
        assert dispatcher.get_current_device() == "the device"
    assert seen == ["the device"]


def test_ptx_names_the_release_that_wrote_it():
    assert toolkit.compiled_by("// Cuda compilation tools, release 13.0, V13.0.88\n") == (13, 0)
    assert toolkit.compiled_by(".version 9.0") == toolkit.MISSING
    assert toolkit.linked_by() >= (12, 0)
