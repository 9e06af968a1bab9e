"""A grid that runs in a second."""

import csv

import pytest

from tinyres.lab import sweep


@pytest.fixture
def tiny():
    """tiny({axis: values}, ...): recipes of nets that train in milliseconds."""

    def make(axes, **shared):
        axes = {"arch": ["mlp"], "depth": [3], "width": [4]} | axes
        return sweep.grid(axes, **({"steps": 2, "batch_size": 32} | shared))

    return make


@pytest.fixture
def table():
    """table(folder): the rows of sweep.csv without their seconds, and without the check that covers them."""

    def read(folder):
        with open(folder / "sweep.csv", newline="") as file:
            header, *rows = csv.reader(file)
        assert header[-2:] == ["seconds", "check"]
        assert all(float(row[-2]) > 0 for row in rows)
        return [row[:-2] for row in [header, *rows]]

    return read
