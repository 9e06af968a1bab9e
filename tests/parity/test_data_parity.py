"""Loaders against PyTorch's: the same batches of the same samples, whatever a sample is."""

import numpy as np
import pytest

import tinyres as tr
from tinyres.utils import data

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity
SIDES = ((tr, data), (torch, torch.utils.data))
X, Y = np.arange(14, dtype=np.float32).reshape(7, 2), np.arange(7)


def plain(value):
    """Types, dtypes, shapes and values, free of the library."""
    if isinstance(value, (tr.Tensor, torch.Tensor)):
        return str(value.dtype).removeprefix("torch."), tuple(value.shape), value.tolist()
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [type(value).__name__, *map(plain, value)] if isinstance(value, (list, tuple)) else value


def own(library, room):
    class Own(room.Dataset):
        def __len__(self):
            return 7

        def __getitem__(self, i):
            return {"x": library.tensor(X[i]), "i": i, "half": i / 2, "name": f"n{i}", "pair": (X[i], np.int32(i))}

    return Own()


DATA = {
    "one tensor": lambda library, room: room.TensorDataset(library.tensor(X)),
    "three": lambda library, room: room.TensorDataset(*(library.tensor(a) for a in (X, Y, X[:, 0]))),
    "a list of pairs": lambda library, room: [(x.tolist(), int(y)) for x, y in zip(X, Y, strict=True)],
    "numbers": lambda library, room: [True, False, True],
    "dicts": own,
    "a part": lambda library, room: room.Subset(room.TensorDataset(library.tensor(X)), [5, 1, 1]),
}
HOW = {
    "defaults": {},
    "three at a time": {"batch_size": 3},
    "the rest left out": {"batch_size": 2, "drop_last": True},
    "an order": {"batch_size": 2, "sampler": [2, 0, 1]},
    "collated by the caller": {"batch_size": 2, "collate_fn": lambda samples: [len(samples), type(samples).__name__]},
}


@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
@pytest.mark.parametrize("make", DATA.values(), ids=DATA)
def test_the_same_batches(make, how):
    ours, theirs = (room.DataLoader(make(library, room), **how) for library, room in SIDES)
    assert len(ours) == len(theirs)
    for _ in range(2):
        assert [plain(batch) for batch in ours] == [plain(batch) for batch in theirs]


def test_a_sample_of_tensors():
    ours, theirs = (room.TensorDataset(library.tensor(X), library.tensor(Y)) for library, room in SIDES)
    assert len(ours) == len(theirs) == 7
    assert plain(ours[3]) == plain(theirs[3])
    assert plain(ours[1:3]) == plain(theirs[1:3])


@pytest.mark.parametrize("lengths", [[4, 3], [0.3, 0.3, 0.4], [0.5, 0.5], [1.0]])
def test_lengths_of_parts(lengths):
    ours, theirs = (room.random_split(room.TensorDataset(library.tensor(X)), lengths) for library, room in SIDES)
    assert [len(part) for part in ours] == [len(part) for part in theirs]
