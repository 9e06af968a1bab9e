"""DLPack: other libraries' arrays in and out without a copy."""

import importlib
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn
from tinyres.autograd.dlpack import from_dlpack


def address(array):
    return array.__array_interface__["data"][0]


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="no DLPack tests against PyTorch: torch is missing")


@pytest.mark.parity
def test_a_torch_tensor_comes_in_without_a_copy(torch):
    theirs = torch.arange(6.0).reshape(2, 3).T  # strides are kept
    ours = from_dlpack(theirs)
    assert address(ours.data) == theirs.data_ptr()
    assert ours.data.strides == (4, 12)
    assert (ours.device, ours.requires_grad) == ("cpu", False)
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.parity
def test_a_tensor_goes_out_to_torch_without_a_copy_and_outlives_ours(torch):
    ours = tr.tensor(np.arange(1 << 16, dtype=np.float32)) * 2  # large: in memory that is handed on when it is free
    theirs, where = torch.from_dlpack(ours), address(ours.data)
    assert theirs.data_ptr() == where
    del ours
    again = tr.tensor(np.ones(1 << 16, np.float32)) * 3
    assert address(again.data) != where
    assert float(theirs[-1]) == 2 * ((1 << 16) - 1)


@pytest.mark.parity
def test_torch_refuses_a_tensor_that_requires_a_gradient(torch):
    with pytest.raises(BufferError, match="detach"):
        from_dlpack(torch.ones(2, requires_grad=True))


@pytest.mark.parity
def test_a_torch_state_dict_is_taken_over(torch):
    theirs, ours = torch.nn.Linear(3, 2), nn.Linear(3, 2, rng=0)
    ours.load_state_dict(theirs.state_dict())
    np.testing.assert_array_equal(ours.weight.detach().numpy(), theirs.weight.detach().numpy())


def test_what_requires_a_gradient_is_refused_with_the_mend():
    x = tr.tensor([1.0], requires_grad=True)
    with pytest.raises(BufferError, match=r"requires a gradient.*tensor.detach\(\)"):
        np.from_dlpack(x)
    with pytest.raises(BufferError, match="requires a gradient"):
        np.from_dlpack(x * 2)
    assert np.from_dlpack(x.detach()).tolist() == [1.0]


def test_numpy_arrays_go_in_and_out():
    array = np.arange(4.0)
    ours = from_dlpack(array)
    assert address(ours.data) == address(array)
    out = np.from_dlpack(ours)
    assert address(out) == address(array)
    assert not out.flags.writeable  # a graph may have saved it


def test_before_version_1_of_the_protocol_memory_goes_out_all_the_same():
    """Which cannot say that it is read-only."""
    ours = tr.tensor([1.0, 2.0])
    old = SimpleNamespace(
        __dlpack__=lambda **how: ours.__dlpack__(), __dlpack_device__=lambda: ours.__dlpack_device__()
    )
    kind = type(
        "Old", (), {"__dlpack__": lambda self, **how: old.__dlpack__(), "__dlpack_device__": lambda self: (1, 0)}
    )
    assert address(np.from_dlpack(kind())) == address(ours.data)


def test_a_loss_reaches_leaves_made_of_foreign_memory():
    x = from_dlpack(np.arange(3.0)).requires_grad_()
    (g,) = tr.grad((x * x).sum(), [x])
    np.testing.assert_array_equal(g.numpy(), [0, 2, 4])


def test_what_is_no_array_and_what_is_elsewhere_is_refused():
    with pytest.raises(TypeError, match="list has no __dlpack__"):
        from_dlpack([1.0])
    elsewhere = type("Array", (), {"__dlpack__": None, "__dlpack_device__": lambda self: (7, 0)})()
    with pytest.raises(ValueError, match=r"needs an array on the CPU .* or a CUDA GPU .*, got type 7"):
        from_dlpack(elsewhere)


def test_memory_on_a_gpu_is_cupys(double):
    double.from_dlpack = lambda x: double.asarray([1.0, 2.0])
    there = type("Array", (), {"__dlpack__": None, "__dlpack_device__": lambda self: (2, 0)})()
    assert from_dlpack(there).device == "cuda"
    assert tr.tensor([1.0]).to("cuda").__dlpack_device__() == (2, 0)


def test_memory_on_a_gpu_without_cupy_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    there = type("Array", (), {"__dlpack__": None, "__dlpack_device__": lambda self: (2, 0)})()
    with pytest.raises(RuntimeError, match="needs CuPy"):
        from_dlpack(there)


@pytest.mark.gpu
def test_a_torch_cuda_tensor_goes_in_and_out_without_a_copy():
    try:
        torch, cupy = importlib.import_module("torch"), importlib.import_module("cupy")
    except ImportError as error:
        pytest.skip(f"no DLPack tests on a GPU: {error}")
    if not (torch.cuda.is_available() and cupy.cuda.is_available()):
        pytest.skip("no DLPack tests on a GPU: there is none")
    theirs = torch.arange(6.0, device="cuda").reshape(2, 3)
    ours = from_dlpack(theirs)
    assert (ours.device, ours.data.data.ptr) == ("cuda", theirs.data_ptr())
    assert torch.from_dlpack(ours).data_ptr() == theirs.data_ptr()
