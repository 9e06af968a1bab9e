"""How many launches a training step takes: at the batches that are trained with, the host is the slower of the two."""

from functools import cache

import numpy as np
import pytest

import tinyres as tr
from tinyres import gan, models, optim
from tinyres.arrays import kernels_for
from tinyres.bench import gan as bench_gan
from tinyres.bench import resnet as bench_resnet
from tinyres.context import context

host = pytest.importorskip("tinyres_kernels.cuda.host", reason="NO NUMBA.CUDA", exc_type=ImportError)

from tests.device.launches import counted  # noqa: E402

pytestmark = pytest.mark.skipif(host.SIMULATED, reason="in the simulator nothing is launched")


def wgan_gp(batch=64, latent=100, width=64):
    """A step of the critic, with its penalty on slopes, and one of the generator."""
    rng = np.random.default_rng(0)
    generator = models.dcgan.generator(latent, width, rng=0).to("cuda")
    critic = models.dcgan.discriminator(width, norm="none", rng=1).to("cuda")
    loss, penalty = gan.LOSSES["wasserstein"], gan.PENALTIES["gp"]
    g_adam, d_adam = (optim.Adam(player.parameters(), 1e-4, (0.0, 0.9)) for player in (generator, critic))
    real = tr.tensor(rng.standard_normal((batch, 3, 32, 32)).astype("f")).to("cuda")
    noise = tr.tensor(rng.standard_normal((batch, latent)).astype("f")).to("cuda")

    def step():
        with tr.no_grad():
            fake = generator(noise)
        d_adam.zero_grad()
        (loss.discriminator(critic(real), critic(fake)) + 10 * penalty(critic, real, fake, rng)).backward()
        d_adam.step()
        g_adam.zero_grad()
        loss.generator(critic(generator(noise))).backward()
        g_adam.step()

    return step


# What a step is made of, and how many launches it may take.
STEPS = {
    "ResNet-20, batch 128": (lambda: bench_resnet.ours(128, device="cuda"), 148),
    "DCGAN, batch 64": (lambda: bench_gan.ours(64, device="cuda"), 146),
    "WGAN-GP, batch 64": (wgan_gp, 254),
}


@cache
def launches_of(name):
    """Of the second step: the first makes what optimisers keep."""
    with counted() as found:
        step = STEPS[name][0]()
        step()
        for counter in found:
            counter.clear()
        step()
        return found


def test_what_computes_or_copies_counts_and_what_gives_a_view_does_not():
    with counted() as found:
        import cupy

        x = cupy.asarray(np.ones((4, 6), "f"))  # the upload
        room = cupy.empty_like(x)
        views = [
            cupy.asarray(x, order="C"),
            x.T,
            x[1:],
            x.reshape(-1),
            x[None],
            cupy.asarray(x),
            x.transpose(1, 0),
            cupy.ascontiguousarray(x),
        ]
        assert found.library == {"array": 1}
        cupy.multiply(x, x, out=room)
        room[0] = 2
        room += x
        room.fill(0)
        made = [x + 1, x.T.reshape(-1), x.sum(), cupy.where(x > 1, x, 0), x.astype("d"), x[cupy.asarray([0, 1])]]
        assert len(views) + len(made) == 14
    assert found.library == (
        {"multiply": 1, "__setitem__": 1, "__iadd__": 1, "ndarray.fill": 1, "__add__": 1, "ndarray.reshape": 1}
        | {"ndarray.sum": 1, "where": 1, "__gt__": 1, "ndarray.astype": 1, "__getitem__": 1, "array": 2}
    )
    assert not found.ours


def test_kernels_of_ours_count_by_name_and_refuse_arrays_of_the_host():
    with counted() as found:
        import cupy

        x = cupy.empty((4, 6), "f")
        kernels = kernels_for(x)
        assert kernels.__name__ == "tinyres_kernels.cuda"
        kernels.relu(x.reshape(-1), cupy.empty(24, "f"), slope=0.0)
        with pytest.raises(TypeError, match=r"need CuPy arrays, got NumPy's as arguments \[0\]"):
            kernels.relu(np.ones(24, "f"), cupy.empty(24, "f"), slope=0.0)
        how = {"lr": 0.1, "momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False}
        with pytest.raises(TypeError, match=r"need CuPy arrays, got NumPy's as arguments"):
            kernels.sgd(x, np.ones((4, 6), "f"), None, cupy.empty_like(x), None, **how)
    assert found.ours == {"relu_kernel": 1}
    assert found.total == 1
    assert str(found) == "    1  kernels of ours\n      1  relu_kernel\n    0  of the array library"


@pytest.mark.parametrize("name", STEPS)
def test_a_training_step_takes_no_more_launches_than_it_needs(name):
    found = launches_of(name)
    assert found.total <= STEPS[name][1], str(found)


def test_in_evaluation_a_convolution_takes_its_norm_its_sum_and_its_relu_along():
    """All 19 of ResNet-20, where nothing is recorded."""
    with counted() as found:
        model = models.resnet(20, rng=0).to("cuda").eval()
        x = tr.tensor(np.ones((128, 3, 32, 32), "f")).to("cuda")
        for recording, ours in ((False, {"gather_kernel": 19}), (True, {"gather_kernel": 19, "normalise_kernel": 19})):
            found.ours.clear()
            found.library.clear()
            with context(recording=recording):
                model(x)
            assert found.ours == ours
            assert found.library.total() == 9, str(found)


def learned(*dtypes):
    """Parameters on the device, with a gradient each."""
    made = [tr.tensor(np.ones(5, dtype)).to("cuda").requires_grad_() for dtype in dtypes]
    for p in made:
        p.grad = tr.tensor(np.ones(5, p.dtype)).to("cuda")
    return made


KINDS = {"sgd": optim.SGD, "adam": optim.Adam, "rmsprop": optim.RMSprop}


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_of_one_type_take_their_steps_together(kind):
    with counted() as found:
        params = learned(*"f" * 40, *"d" * 3)
        old = [p.data for p in params]
        optimizer = KINDS[kind](params)
        found.library.clear()
        optimizer.step()
        assert found.ours == {f"{kind}_kernel": 2}
        assert not found.library
        assert all(p.data is not before and p.data.dtype == before.dtype for p, before in zip(params, old, strict=True))
        params[1].grad = None  # takes no step, and so is one behind
        optimizer.step()
        optimizer.zero_grad()
        params[0].grad, params[1].grad = (tr.tensor(np.ones(5, "f")).to("cuda") for _ in range(2))
        optimizer.step()
    assert found.ours == {f"{kind}_kernel": 2 + 2 + (2 if kind == "adam" else 1)}  # its factors go by the step


def test_more_parameters_than_a_table_holds_take_two_launches():
    with counted() as found:
        optim.SGD(learned(*"f" * 100), momentum=0.9).step()
    assert found.ours == {"sgd_kernel": 2}


def test_an_optimiser_with_an_update_of_its_own_is_asked_for_each_parameter():
    class Halved(optim.SGD):
        def update(self, p, g, state):
            return super().update(p, g, state) * 0.5

    with counted() as found:
        Halved(learned("f", "f")).step()
    assert found.ours == {"sgd_kernel": 2}
    assert found.library["__mul__"] == 2


def test_a_step_that_is_refused_is_taken_by_no_parameter():
    with counted() as found:
        params = learned("f", "f")
        params[1].grad = tr.tensor(np.ones(5, "f"))
        with pytest.raises(RuntimeError, match=r"params\[1\].*is on cuda, its \.grad on cpu"):
            optim.SGD(params).step()
    assert not found.ours
