"""What the tests here start under mpiexec: `python ranks_work.py TASK FOLDER [ARGUMENTS]`."""

import itertools
import json
import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

import tinyres as tr
from tests.sketches import only_sketch
from tinyres import cli, nn, training
from tinyres.cli import train_distributed
from tinyres.cli.common import UsageError
from tinyres.cli.train_distributed import on_all_ranks
from tinyres.training import checkpoint
from tinyres.training.distributed.sync_batch_norm import all_sum, synchronise

# Batches of 101: shares of 50 and 51. Plain SGD: Adam's first step is the sign of the gradient, also where that is a
# rounding error.
RECIPES = {
    "mlp": {"arch": "mlp", "steps": 20},
    "resnet": {"arch": "resnet", "depth": 8, "width": 4, "steps": 12, "lr": 0.02},
    "stochastic_depth": {"arch": "stochastic_depth", "depth": 8, "width": 4, "steps": 12, "lr": 0.02, "augment": True},
    "cnn": {"arch": "cnn", "steps": 6, "lr": 0.02, "augment": True},
}


def recipe(name):
    return training.Recipe(**{"batch_size": 101, "schedule": "constant", "momentum": 0.0} | RECIPES[name])


def prepared(name):
    """The run, with dropout where there is none, so that its draws are compared as well."""
    run = training.prepare(recipe(name))
    if name == "cnn":
        for module in run.model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.3
    return run


def finished(run):
    for _ in run.steps():
        if run.epoch_ends:
            run.score()
    return run


def train(ranks, folder, name, synchronised):
    run = finished(training.DataParallel(prepared(name), ranks, sync_batch_norm=synchronised == "1"))
    training.save(run, folder / f"{name}.{ranks.rank}.safetensors")


def shares(ranks, folder):
    """One step with momentum 1: the statistics of each share, and their weighted mean."""
    run = prepared("resnet")
    for module in run.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    x, _ = next(prepared("resnet").loader.batches())
    found = []
    for rows in (slice(0, 50), slice(50, 101)):
        other = prepared("resnet").model
        stem = next(module for module in other.modules() if isinstance(module, nn.BatchNorm2d))
        stem.momentum = 1.0
        other(tr.tensor(x.data[rows]))
        found.append((stem.running_mean.data, stem.running_var.data))
    (m0, v0), (m1, v1) = found
    name = next(name for name, module in run.model.named_modules() if isinstance(module, nn.BatchNorm2d))
    run = training.DataParallel(run, ranks)
    next(run.steps())
    if ranks.rank == 0:
        expected = {"mean": (50 * m0 + 51 * m1) / 101, "var": (50 * v0 + 51 * v1) / 101}
        tr.save({k: v.astype("float32") for k, v in expected.items()}, folder / "expected.safetensors")
        got = dict(run.model.named_buffers())
        together = {k: got[f"{name}.running_{k}"].numpy() for k in ("mean", "var")}
        tr.save(together, folder / "together.safetensors")


def norm(ranks, folder):
    """y and all gradients of a batch norm, of a loss that is no mean: each rank has rows of its own number."""
    rng = np.random.default_rng(0)
    whole, cotangent = rng.standard_normal((2, 7, 3, 4, 4))
    rows = slice(0, 3) if ranks.rank == 0 else slice(3, 7)
    module = synchronise(nn.BatchNorm2d(3).to("float64"), ranks)
    x = tr.tensor(whole[rows], requires_grad=True)
    y = module(x, residual=x * 0.5, relu=True)
    dx, dweight, dbias = tr.grad((y * cotangent[rows]).sum(), [x, module.weight, module.bias])
    total = all_sum(tr.tensor(np.full(2, ranks.rank + 1.0)), ranks)
    found = {"y": y, "dx": dx, "dweight": dweight, "dbias": dbias, "sum": total}
    arrays = {name: value.numpy() for name, value in found.items()}
    arrays |= {name: value.numpy() for name, value in module.named_buffers()}
    tr.save(arrays, folder / f"norm.{ranks.rank}.safetensors")


def gpu(ranks, folder, nccl):
    """Two steps on the stand-in for CuPy; sums go through the host, or through a stand-in for NCCL that counts them."""
    from tests.device.stand_in import standing_in  # takes a quarter of a second, as do instruments: not for each rank

    with standing_in():
        sums = []

        class Group:
            def all_reduce(self, given, out):
                sums.append(given.size)
                out[...] = tr.arrays.to_device(ranks.sum(tr.arrays.to_device(given, "cpu").copy()), "cuda")

        made = []
        asked = lambda size, rank, use_mpi: made.append((size, rank, use_mpi)) or Group()
        sys.modules["cupyx.distributed"] = SimpleNamespace(init_process_group=asked)
        only_here = ranks.rank == 0  # a GPU of its own for rank 0 alone is none for NCCL
        assert not ranks.over_nccl(only_here)
        assert ranks.over_nccl(nccl == "1") == (nccl == "1")
        run = training.prepare(recipe("resnet"), device="cuda")
        run.total = 2
        run = finished(training.DataParallel(run, ranks, sync_batch_norm=True))
        assert run.device == "cuda"
        assert made == [(2, ranks.rank, True)] * int(nccl)
        assert bool(sums) == (nccl == "1")
        losses = np.array(run.losses)
    tr.save({"losses": losses}, folder / f"gpu.{nccl}.{ranks.rank}.safetensors")


def fail(ranks, folder, how):
    """Rank 1 fails at its fourth step, while the others go on."""
    run = training.DataParallel(prepared("stochastic_depth"), ranks)
    take = run._gradient

    def gradient(x, target):
        if ranks.rank == 1 and run.step == 3:
            if how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise MemoryError("the fourth step was too much")
        return take(x, target)

    run._gradient = gradient
    try:
        for _ in run.steps():
            pass
    except training.RankFailed as error:
        (folder / "said").write_text(str(error))
        training.save(run, folder / "run.safetensors")
    except MemoryError as error:
        ranks.fail(error)
        raise


def go_on(ranks, folder):
    """Only rank 0 reads the file: the others may be on machines that do not have it."""
    run = prepared("stochastic_depth")
    if ranks.rank == 0:
        training.resume(run, folder / "run.safetensors")
    run = finished(training.DataParallel(run, ranks))
    if ranks.rank == 0:
        training.save(run, folder / "end.safetensors")


def lonely_error(ranks, folder):
    def something(ranks):
        if ranks.rank == 1:
            raise UsageError("no room here")
        ranks.barrier()

    sys.exit(on_all_ranks(something, None))


def silent(ranks, folder, who):
    """One rank of three does not come. Rank 0, if it is another, takes its time to save."""

    def something(ranks):
        if ranks.rank == int(who):
            time.sleep(600)
        try:
            ranks.barrier()
        except training.RankFailed as error:
            if ranks.rank == 0:
                time.sleep(3)
                (folder / "saved").touch()
            raise training.RankFailed(f"{error} [{ranks.rank}]", error.lost) from error

    if who == "0":
        train_distributed.SAVING = 0.1
    on_all_ranks(something, 0.5)


SMALL = ("train", "resnet", "--depth", "8", "--width", "2", "--batch-size", "101", "--lr", "0.02")


def command(ranks, folder, what):
    """`tinyres train`, in which something goes wrong."""

    def instead(holder, name, error, on, when=lambda *arguments: True):
        usual = getattr(holder, name)

        def raising(*arguments, **named):
            if ranks.rank == on and when(*arguments):
                raise error
            return usual(*arguments, **named)

        setattr(holder, name, raising)

    calls = itertools.count()
    full, third = OSError(28, "No space left on device", "run.safetensors"), lambda run, *_: run.step == 3
    if what == "no data":
        instead(training, "prepare", FileNotFoundError("no digits here"), on=1)
    if what in ("full", "full afterwards"):
        instead(checkpoint, "save", full, on=0)
    if what in ("failing", "full afterwards"):
        instead(training.DataParallel, "_gradient", MemoryError("too much"), on=1, when=third)
    if what == "scoring":
        instead(training.DataParallel, "score", MemoryError("too much"), on=0)
    if what == "interrupted":
        instead(training.DataParallel, "_gradient", KeyboardInterrupt(), on=0, when=third)
    if what == "amid":
        instead(training.Ranks, "_finish", KeyboardInterrupt(), on=1, when=lambda *_: next(calls) == 12)
    sys.exit(cli.main([*SMALL, "--steps", "9", "--distributed", "--out", str(folder / "out")]))


def commands(ranks, folder, file):
    """`tinyres train` again and again, as long as no command ends its rank; the file has their arguments."""
    if ranks.rank == 0:
        only_sketch()
    statuses = [cli.main([*SMALL, *arguments]) for arguments in json.loads(Path(file).read_text())]
    (folder / f"statuses.{ranks.rank}").write_text(json.dumps(statuses))


def another(_, folder, what):
    """Rank 1 brings something else than rank 0. These ranks are never used again, so they are new ones."""
    ranks = training.Ranks()
    run, sync = prepared("mlp"), what == "sync" and ranks.rank == 1
    if what == "seed" and ranks.rank == 1:
        run = training.prepare(training.Recipe(**recipe("mlp").to_json() | {"seed": 1}))
    if what == "shard":
        half = run.loader.dataset
        run.loader.dataset = type(half)(half.inputs[ranks.rank :: 2], half.targets[ranks.rank :: 2], "half", 10)
    try:
        next(training.DataParallel(run, ranks, sync_batch_norm=sync).steps())
    except ValueError as error:
        (folder / f"said.{what}").write_text(str(error))
        ranks.fail(error)
    except training.RankFailed as error:
        (folder / f"heard.{what}").write_text(str(error))


def recorded(ranks, folder):
    """What rank 0 records of a step is what its rows would show by themselves."""
    from tinyres import flow

    run, alone = prepared("mlp"), prepared("mlp")
    for one in (run, alone):
        one.loader.batch_size = 100
    x, target = next(alone.loader.batches())
    run = training.DataParallel(run, ranks)
    found, expected = flow.record(run.model), flow.record(alone.model)
    next(run.steps(found if ranks.rank == 0 else None))
    if ranks.rank == 0:
        with expected:
            tr.cross_entropy(alone.model(tr.tensor(x.data[:50])), tr.tensor(target.data[:50])).backward()
        (folder / "norms").write_text(json.dumps([r.gradient_norms().numpy().tolist() for r in (found, expected)]))


def several(ranks, folder, file):
    """Tasks one after the other, where none of them ends its rank: a world of processes takes seconds to start."""
    for name, *arguments in json.loads(Path(file).read_text()):
        globals()[name](ranks, folder, *arguments)


if __name__ == "__main__":
    task, folder, *arguments = sys.argv[1:]
    globals()[task](training.Ranks(), Path(folder), *arguments)
