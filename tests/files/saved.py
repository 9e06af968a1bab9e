"""What a saved file held before, what is to take its place, and what both are compared by."""

import numpy as np

OLD = {"w": np.arange(12, dtype=np.float32).reshape(3, 4), "steps": np.array(7)}
NEW = {"w": -OLD["w"], "steps": np.array(8)}


def same(left, right):
    """Equal to the last bit, NaN payloads and signs of zeros included."""
    assert left.keys() == right.keys()
    for name, value in left.items():
        assert value.shape == right[name].shape, name
        assert value.dtype == right[name].dtype, name
        assert value.tobytes() == right[name].tobytes(), name


def alone(path):
    assert [entry.name for entry in path.parent.iterdir()] == [path.name], "something was left behind"
