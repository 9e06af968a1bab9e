"""Where tensors are: what may not be mixed, what is said where there is no GPU, which kernels serve, what goes back."""

import math
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import tinyres as tr
from tests.device.double import copies, no_copies
from tinyres import arrays, nn
from tinyres.arrays import dispatch
from tinyres.bench.children import environment
from tinyres.cli import main


def on_gpu(*shape, **options):
    return tr.tensor(np.random.default_rng(0).standard_normal(shape)).to("cuda").requires_grad_(**options)


# -- the stand-in itself: a test that it refuses what CuPy refuses --------------------------------------------------
def test_the_stand_in_refuses_what_cupy_refuses(double):
    a, host = double.asarray([1.0, 2.0]), np.ones(2)
    for mixed in (lambda: a + host, lambda: host + a, lambda: double.add(a, host), lambda: a.dot(host),
                  lambda: double.concatenate([a, host]), lambda: np.asarray(a), lambda: np.exp(a)):  # fmt: skip
        with pytest.raises(TypeError):
            mixed()
    with pytest.raises(TypeError):
        a[:] = host
    with pytest.raises(AttributeError, match="astype"):
        double.where(True, a, 0.0)
    with pytest.raises(TypeError, match="where"):
        a.sum(where=a > 0)
    assert not hasattr(double, "errstate")
    assert not hasattr(double, "piecewise2")
    assert not hasattr(a.flags, "writeable")


def test_the_stand_in_counts_every_copy_to_the_host(double):
    a = double.asarray(2.0)
    copies.clear()
    assert [bool(a), float(a), a.item(), a.tolist(), a.get(), double.asnumpy(a)] == [True, 2.0, 2.0, 2.0, 2.0, 2.0]
    assert copies == {"implicit": 2, "item": 1, "get": 3}
    assert isinstance(a.sum(), double.ndarray)
    assert isinstance(double.asarray([2.0])[0], double.ndarray)
    with pytest.raises(AssertionError, match="implicit"), no_copies("item"):
        bool(a > 0)


# -- mixed devices --------------------------------------------------------------------------------------------------
MIXED = {
    "mul: a is on cuda, b is on cpu": lambda x, h: x * h,
    "matmul: x is on cpu, w is on cuda": lambda x, h: h @ x,
    "conv2d: x is on cuda, w is on cpu": lambda x, h: tr.conv2d(x.reshape(1, 1, 3, 3), h.reshape(1, 1, 3, 3)),
    "maximum: a is on cuda, b is on cpu": tr.maximum,
    r"concatenate: xs\[0\] is on cuda, xs\[1\] is on cpu": lambda x, h: tr.concatenate([x, h]),
    "where: condition is on cpu, a is on cuda": lambda x, h: tr.where(h > 0, x, 0.0),
    "mse_loss: input is on cuda, target on cpu": tr.mse_loss,
    "cross_entropy: input is on cuda, target on cpu": lambda x, h: tr.cross_entropy(x, np.array([0, 1, 2])),
    "batch_norm: x is on cuda, weight is on cpu": lambda x, h: tr.batch_norm(x, weight=h[0]),
    r"grad: grad_outputs\[0\] is on cpu, outputs\[0\] on cuda": lambda x, h: tr.grad(x * 2, [x], h),
}  # fmt: skip


@pytest.mark.parametrize("said", MIXED)
def test_mixed_devices_are_named_with_the_operation_and_the_argument(said, gpu):
    with pytest.raises(RuntimeError, match=said):
        MIXED[said](on_gpu(3, 3), tr.tensor(np.eye(3)))


def test_numpy_takes_nothing_out_of_a_tensor_on_the_gpu_by_itself(gpu):
    x = on_gpu(2).detach()
    with pytest.raises(TypeError, match=r"use .numpy\(\) or .to\('cpu'\)"):
        np.asarray(x)
    assert isinstance(x.numpy(), np.ndarray)
    assert "tensor([" in repr(x)


# -- values out of range: nothing waits to raise an error -----------------------------------------------------------
def test_a_class_out_of_range_makes_a_loss_of_nan_and_harms_no_other(gpu):
    x = on_gpu(3, 4)
    for loss in (tr.cross_entropy, lambda x, t, **how: tr.nll_loss(tr.log_softmax(x, 1), t, **how)):
        with no_copies():
            found = loss(x, tr.tensor(np.array([1, 4, -1])).to("cuda"), reduction="none")
        expected = loss(x.detach().to("cpu"), np.array([1, 0, 0]), reduction="none").numpy()
        assert np.isnan(found.numpy()).tolist() == [False, True, True]
        assert found.numpy()[0] == pytest.approx(expected[0], rel=1e-12)
        gradient = tr.grad(found.sum(), x)[0].numpy() if loss is tr.cross_entropy else None
        assert gradient is None or np.isnan(gradient).any(axis=1).tolist() == [False, True, True]


def test_a_probability_out_of_range_makes_a_loss_of_nan(gpu):
    p = tr.tensor(np.array([0.5, 1.5, -0.1])).to("cuda")
    with no_copies():
        found = tr.binary_cross_entropy(p, p * 0 + 1, reduction="none")
    np.testing.assert_allclose(found.numpy(), [math.log(2), math.nan, math.nan])


def test_a_symbol_out_of_range_has_a_vector_of_nan(gpu):
    table = nn.Embedding(3, 2, rng=0).to("cuda")
    y = table(tr.tensor(np.array([2, 3, -1])).to("cuda")).detach().numpy()
    assert np.isnan(y).all(axis=1).tolist() == [False, True, True]


# -- the rest of the engine -----------------------------------------------------------------------------------------
def test_checkpoints_jacobians_and_steps_work_there(gpu):
    x = on_gpu(3)
    with no_copies():
        (plain,) = tr.grad(tr.tanh(x * x).sum(), [x])
        (again,) = tr.grad(tr.checkpoint(lambda z: tr.tanh(z * z).sum(), x), [x])
        whole = tr.jacobian(lambda z: tr.tanh(z * z), x)
        bent = tr.hvp(lambda z: tr.tanh(z * z).sum(), x, x.detach())[1]
        _, pushed = tr.jvp(lambda z: tr.tanh(z * z), x, x.detach())
    np.testing.assert_array_equal(again.numpy(), plain.numpy())
    np.testing.assert_allclose(np.diag(whole.numpy()), plain.numpy(), rtol=1e-12)
    np.testing.assert_allclose(pushed.numpy(), plain.numpy() * x.detach().numpy(), rtol=1e-12)
    assert bent.device == "cuda"
    assert all("|g| =" in str(event) for event in tr.steps((x * x).sum()))


def test_large_arrays_take_no_way_that_waits(gpu):
    """NumPy's large arrays are masked, multiplied and added by other means than small ones."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((300, 300)), rng.standard_normal((300, 300))
    found = []
    for device in ("cpu", "cuda"):
        a, b = (tr.tensor(v).to(device).requires_grad_() for v in (x, w))
        with no_copies():
            y = tr.relu(a @ b) + tr.where(a > 0, a, 0.0) + tr.leaky_relu(a, 0.1) + a
            found.append([y, *tr.grad(y, [a, b], y.detach())])
    for here, there in zip(*found, strict=True):
        np.testing.assert_allclose(there.numpy(), here.numpy(), rtol=1e-9, atol=1e-9)


def test_anomalies_are_found_there(gpu):
    with tr.detect_anomaly(), pytest.raises(FloatingPointError, match="log made NaN"):
        tr.log(-abs(on_gpu(3)))


# -- kernels --------------------------------------------------------------------------------------------------------
def test_an_array_that_no_cuda_kernel_takes_is_served_by_whole_array_operations(double):
    kind = type("ndarray", (), {"__module__": "cupy", "dtype": np.dtype("float32"), "size": 1})  # without an interface
    for array in (kind(), double.asarray([1])):
        assert arrays.kernels_for(array).__name__ == "tinyres_kernels.im2col"


def test_the_cuda_rung_serves_what_it_has_and_im2col_the_rest(monkeypatch):
    own = SimpleNamespace(
        __name__="tinyres_kernels.cuda",
        MANY={},
        explain=None,
        conv2d_norm=None,
        conv2d_statistics=None,
        conv2d=lambda: "own",
    )  # fmt: skip
    real = dispatch.kernel_module
    monkeypatch.setattr(dispatch, "kernel_module", lambda name: own if name == "cuda" else real(name))
    monkeypatch.setattr(dispatch, "_has_numba_cuda", lambda: True)
    dispatch._cuda.cache_clear()
    own_type = {"__module__": "cupy", "__cuda_array_interface__": {}, "dtype": np.dtype("float32"), "size": 1}
    kind = type("ndarray", (), own_type)
    try:
        for served in (arrays.kernels_for(kind()), arrays.kernels_for(kind(), kind())):
            assert served.__name__ == "tinyres_kernels.cuda"
            assert served.conv2d() == "own"
            assert served.sgd is real("im2col").sgd
        assert arrays.kernels_for(kind(), np.ones(1)).__name__ == "tinyres_kernels.im2col"  # which refuses the mixture
        kind.dtype = np.dtype("int64")
        assert arrays.kernels_for(kind()).__name__ == "tinyres_kernels.im2col"
        with tr.kernels("cuda"):
            assert arrays.kernels_for(np.ones(1)).conv2d() == "own"
    finally:
        dispatch._cuda.cache_clear()


@pytest.mark.gpu
def test_on_a_gpu_the_cuda_kernels_serve(gpu):
    if arrays.kernels_for(on_gpu(2).data).__name__ == "tinyres_kernels.im2col":
        pytest.skip("the stand-in, or numba-cuda is missing")
    assert arrays.kernels_for(on_gpu(2).data).__name__ == "tinyres_kernels.cuda"


# -- machines without -----------------------------------------------------------------------------------------------
WITHOUT = "import sys; sys.modules['cupy'] = None; import tinyres as tr, tinyres.nn as nn\n"


def said(code):
    try_it = f"try:\n    {code}\nexcept RuntimeError as error:\n    print(error)"
    command = [sys.executable, "-c", WITHOUT + try_it]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("code", ["tr.tensor([1.0]).to('cuda')", "nn.Linear(2, 2, rng=0).to('cuda')"])
def test_without_cupy_one_sentence_says_what_is_missing_and_what_runs_instead(code):
    (line,) = said(code).splitlines()
    assert "needs CuPy, which is not installed: pip install 'tinyres[cuda12]'" in line
    assert "everything also runs on the device 'cpu'" in line


def test_without_a_driver_one_sentence_says_so(double):
    def count():
        raise RuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version")

    double.cuda.is_available = lambda: False
    double.cuda.runtime = SimpleNamespace(getDeviceCount=count)
    needs = r"needs an NVIDIA GPU and its driver, and CuPy \S+ found none \(cudaErrorInsufficientDriver: .*'cpu'"
    with pytest.raises(RuntimeError, match=needs):
        tr.tensor([1.0]).to("cuda")


def test_a_device_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="no device called 'tpu'; there are 'cpu' and 'cuda'"):
        tr.tensor([1.0]).to("tpu")


def test_train_says_in_a_sentence_that_there_is_no_gpu(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert main(["train", "resnet", "--device", "cuda", "--out", os.fspath(tmp_path / "run")]) == 2
    assert "--device: the device 'cuda' needs CuPy" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()


def test_train_runs_on_the_gpu(gpu, tmp_path, capsys):
    out = tmp_path / "run"
    options = ["--depth", "8", "--width", "4", "--steps", "2", "--batch-size", "16", "--out", os.fspath(out)]
    assert main(["train", "resnet", *options, "--device", "cuda"]) == 0
    assert '"device": "cuda"' in (out / "result.json").read_text()
    assert main(["train", "resnet", *options, "--resume"]) == 0  # the device is no part of the recipe


def test_kernels_on_cupy_arrays_can_be_checked(gpu, monkeypatch):
    net = nn.Sequential(nn.Conv2d(2, 3, 3, rng=0), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()).to(
        "cuda"
    )
    x, classes = on_gpu(2, 2, 5, 5).astype("float32"), gpu.asarray(np.array([0, 2]))  # so few that loops specify
    with tr.kernels("check"):
        tr.cross_entropy(net(x), classes).backward()
    assert all(type(p.grad.data) is gpu.ndarray for p in net.parameters())

    rung = dispatch._named(dispatch._fastest(x.data))
    right = rung.conv2d_dw

    def wrong(x, g, out, s):
        right(x, g, out, s)
        out[0, 0, 0, 0] += 1
        return out

    monkeypatch.setattr(rung, "conv2d_dw", wrong)
    with tr.kernels("check"), pytest.raises(tr.KernelDisagreement, match=r"conv2d_dw in float32 of x \(2, 5, 5, 2\)"):
        tr.cross_entropy(net(x), classes).backward()
