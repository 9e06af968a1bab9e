"""Which kernels run: the rung that is asked for, or the best that is there."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import tinyres as tr
from tinyres import arrays, models, nn
from tinyres.arrays import dispatch

WITHOUT_NUMBA = """
import sys
from importlib.machinery import PathFinder


class WithoutNumba(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] == "numba" else PathFinder.find_spec(name, path, target)


sys.meta_path = [WithoutNumba if finder is PathFinder else finder for finder in sys.meta_path]
"""
EVERY_KERNEL = """
import numpy as np

import tinyres as tr
from tinyres import arrays, nn, optim

rng = np.random.default_rng(0)
net = nn.Sequential(
    nn.Conv2d(2, 4, 3, padding=1, rng=rng), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.AvgPool2d(2),
    nn.Flatten(), nn.Linear(16, 3, rng=rng),
).to("float64")
x, classes = rng.standard_normal((5, 2, 8, 8)), rng.integers(0, 3, 5)
for make in (optim.SGD, optim.Adam, optim.RMSprop):
    optimizer = make(net.parameters(), lr=0.01)
    for _ in range(2):
        loss = tr.cross_entropy(net(tr.tensor(x)), classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(repr(float(loss.numpy())))
tr.binary_cross_entropy_with_logits(tr.tensor(x, requires_grad=True), np.ones_like(x)).backward()
"""


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_without_numba_everything_runs_on_im2col_and_one_line_says_so():
    last = "print(arrays.kernels_for(x).__name__, 'numba' in sys.modules, 'tinyres_kernels.cpu' in sys.modules)"
    ran = python(WITHOUT_NUMBA + EVERY_KERNEL + last)
    *losses, where = ran.stdout.splitlines()
    assert where == "tinyres_kernels.im2col False False"
    (said,) = ran.stderr.splitlines()
    assert said.startswith("tinyres: Numba is not installed")
    here = python("import sys" + EVERY_KERNEL + last)
    *expected, where = here.stdout.splitlines()
    assert (where, here.stderr) == ("tinyres_kernels.cpu True True", "")
    np.testing.assert_allclose([float(loss) for loss in losses], [float(loss) for loss in expected], rtol=1e-10)


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("import os; os.environ['NUMBA_DISABLE_JIT'] = '1'", "Numba is told not to compile (NUMBA_DISABLE_JIT)"),
        (
            "import sys; sys.path.insert(0, FOLDER)",
            "Numba cannot be imported (Numba needs NumPy 9 or less)",
        ),
    ],
)
def test_a_numba_that_does_not_compile_is_no_numba(tmp_path, before, said):
    (tmp_path / "numba.py").write_text("raise ImportError('Numba needs NumPy 9 or less')\n")
    first = f"FOLDER = {str(tmp_path)!r}\n{before}\n"
    ran = python(first + EVERY_KERNEL + "print(arrays.kernels_for(x).__name__, arrays.get_num_threads())")
    assert ran.stdout.splitlines()[-1] == "tinyres_kernels.im2col 1"
    assert ran.stderr == f"tinyres: {said}, so all kernels run on plain NumPy, more slowly\n"


def test_without_numba_the_compiled_rung_says_what_is_missing():
    ran = python(
        WITHOUT_NUMBA
        + """
import numpy as np
import tinyres as tr
try:
    with tr.kernels("cpu"):
        tr.conv2d(tr.tensor(np.ones((1, 1, 3, 3))), tr.tensor(np.ones((1, 1, 3, 3))))
except ModuleNotFoundError as error:
    print(error.name)
"""
    )
    assert (ran.stdout, ran.stderr) == ("numba\n", "")


def one_pass(rung):
    """Of a small residual net in float64: the loss and all gradients."""
    rng = np.random.default_rng(0)
    net = models.resnet(8, 2, in_channels=2, classes=3, shortcut="B", rng=rng).to("float64")
    x, classes = tr.tensor(rng.standard_normal((2, 2, 6, 6)), requires_grad=True), rng.integers(0, 3, 2)
    with tr.kernels(rung):
        assert arrays.kernels_for(x.numpy()).__name__ == f"tinyres_kernels.{rung}"
        loss = tr.cross_entropy(net(x), classes)
        return [value.numpy() for value in (loss, *tr.grad(loss, [x, *net.parameters()]))]


@pytest.fixture(scope="module")
def specified():
    return one_pass("reference")


@pytest.mark.parametrize("rung", ["im2col", "cpu"])
def test_a_residual_net_is_the_same_on_every_rung(rung, specified):
    assert sum(abs(g).max() > 1e-3 for g in specified) > len(specified) / 2
    for found, expected in zip(one_pass(rung), specified, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("rung", arrays.KERNEL_SETS)
def test_a_forced_rung_runs_every_kernel(rung, monkeypatch):
    """Forward and backward call the forced rung alone, the backward pass outside of the block as well."""
    ran = []
    real = dispatch.kernel_module
    monkeypatch.setattr(dispatch, "kernel_module", lambda name: ran.append(name) or real(name))
    net = nn.Sequential(nn.Conv2d(1, 2, 3, rng=0), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    with tr.kernels(rung):
        loss = tr.cross_entropy(net(tr.tensor(np.ones((2, 1, 4, 4), np.float32))), np.array([0, 1]))
    loss.backward()
    assert len(ran) >= 8
    assert set(ran) == {rung}


def test_an_unknown_rung_is_refused():
    with (
        pytest.raises(ValueError, match="no kernel set called 'gpu'; there are reference, im2col, cpu"),
        tr.kernels("gpu"),
    ):
        pass


def test_kernels_of_ones_own_serve_a_net_and_im2col_does_the_rest():
    """Behind the contract, which answers the empty batch; the backward pass outside of the block uses them as well."""
    called = []

    def avg_pool2d(x, out, s):
        called.append("forward")
        dispatch.kernel_module("im2col").avg_pool2d(x, out, s)

    def avg_pool2d_dx(g, out, s):
        called.append("backward")
        dispatch.kernel_module("im2col").avg_pool2d_dx(g, out, s)

    net = nn.Sequential(nn.Conv2d(1, 2, 3, rng=0), nn.AvgPool2d(2), nn.Flatten()).to("float64")
    x = np.random.default_rng(0).standard_normal((2, 1, 4, 4))
    with tr.kernels("im2col"):
        (expected,) = tr.grad((net(tr.tensor(x)) ** 2).sum(), [net[0].weight])
    with tr.kernels(SimpleNamespace(avg_pool2d=avg_pool2d, avg_pool2d_dx=avg_pool2d_dx)):
        loss = (net(tr.tensor(x)) ** 2).sum()
        assert net(tr.tensor(x[:0])).shape == (0, 2)
    assert called == ["forward"]
    (found,) = tr.grad(loss, [net[0].weight])
    np.testing.assert_array_equal(found.numpy(), expected.numpy())
    assert called == ["forward", "backward"]


def test_an_object_without_a_kernel_is_refused():
    with (
        pytest.raises(ValueError, match="has no function that is called after an operation, such as conv2d"),
        tr.kernels(SimpleNamespace(my_conv=print)),
    ):
        pass


def test_what_the_compiled_rung_is_not_made_for_goes_to_im2col():
    small, whole = np.ones(3, np.float16), np.ones(3, np.int64)
    assert arrays.kernels_for(np.ones(3)).__name__ == "tinyres_kernels.cpu"
    for other in (small, whole):
        assert arrays.kernels_for(np.ones(3), other).__name__ == "tinyres_kernels.im2col"


# -- threads --------------------------------------------------------------------------------------------------------
@pytest.fixture
def threads_as_before():
    before = tr.get_num_threads()
    yield before
    tr.set_num_threads(before)


def test_one_thread_gives_the_bits_of_all_where_nothing_is_summed_over_threads(threads_as_before):
    draw = np.random.default_rng(0).standard_normal
    x, w = (tr.tensor(draw(shape)) for shape in ((8, 5, 40, 40), (9, 5, 3, 3)))
    a, b = draw((2, 300, 300))
    both = tr.conv2d(x, w), tr.matmul(tr.tensor(a), tr.tensor(b))
    tr.set_num_threads(1)
    assert tr.get_num_threads() == 1
    np.testing.assert_array_equal(tr.conv2d(x, w).numpy(), both[0].numpy())
    np.testing.assert_allclose(tr.matmul(tr.tensor(a), tr.tensor(b)).numpy(), both[1].numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("count", [0, -1, 1.5, "2"])
def test_a_number_of_threads_is_a_positive_integer(count):
    with pytest.raises(ValueError, match="an integer of at least 1"):
        tr.set_num_threads(count)


def test_more_threads_than_the_pool_has_are_refused_with_the_way_to_get_them(threads_as_before):
    with pytest.raises(ValueError, match=r"the pool has \d+; start Python with NUMBA_NUM_THREADS=1000"):
        tr.set_num_threads(1000)


def test_without_numba_there_is_one_thread():
    code = """
import tinyres as tr
tr.set_num_threads(1)
print(tr.get_num_threads())
try:
    tr.set_num_threads(2)
except ValueError as error:
    print(error)
"""
    count, error = python(WITHOUT_NUMBA + code).stdout.splitlines()
    assert count == "1"
    assert "pip install numba" in error
