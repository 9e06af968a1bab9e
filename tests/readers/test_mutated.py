"""Damaged inputs for every reader, and the campaign that tries them: it sees a reader that is too trusting."""

import random
import warnings

import pytest

from tests.readers import mutated as campaign
from tests.readers import table
from tests.readers.mutate import mutated
from tinyres import data
from tinyres.data import cifar


@pytest.fixture(autouse=True)
def small_archives(monkeypatch):
    monkeypatch.setattr(cifar, "SAMPLES", table.SAMPLES)


def test_every_reader_refuses_in_a_sentence_or_reads_what_is_there():
    found, faults = campaign.campaign(300, seed=0)
    assert faults == []
    assert sum(outcomes.total() for outcomes in found.values()) == 300
    assert sum(outcomes["refused"] for outcomes in found.values()) > 150
    assert sum(outcomes["accepted"] for outcomes in found.values()) > 10


def reader(read, refusals=(ValueError,)):
    return table.Reader(b"1 2 3", read, refusals)


def raises(error, path):
    raise error(f"{path}: no")


FAULTY = {
    "another error": lambda path: raises(KeyError, path),
    "no file": lambda path: int("x"),
    "two lines": lambda path: raises(ValueError, f"{path}\n"),
    "another value": lambda path: table.right(path.read_bytes() == b"1 2 3"),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_reader_with_a_fault_is_seen(monkeypatch, fault):
    monkeypatch.setattr(campaign, "readers", lambda folder: {"faulty": reader(FAULTY[fault])})
    found, faults = campaign.campaign(20, seed=0)
    assert found["faulty"]["FAULT"] > 0
    assert faults


def test_memory_and_time_are_seen(monkeypatch, tmp_path):
    taken = iter([100.0, 100.0, 250.0, 350.0, 350.0])
    monkeypatch.setattr(campaign, "peak", lambda: next(taken, 350.0))
    monkeypatch.setattr(campaign, "readers", lambda folder: {"greedy": reader(lambda path: None)})
    _, faults = campaign.campaign(3, seed=0)
    assert len(faults) == 1
    assert "input 2: it took 250 MB" in faults[0]
    monkeypatch.setattr(campaign, "PATIENCE", -1.0)
    assert campaign.tried(reader(lambda path: None), b"", tmp_path)[0] == "FAULT"


def test_an_array_of_idx_that_is_read_wrongly_is_seen(monkeypatch, tmp_path):
    whole = table.idx(table.np.arange(60, dtype="i2").reshape(3, 4, 5))
    assert campaign.tried(table.Reader(whole, table.read_idx, ()), whole, tmp_path)[0] == "accepted"
    read = data.read_idx
    monkeypatch.setattr(data, "read_idx", lambda path: read(path).byteswap())
    assert campaign.tried(table.Reader(whole, table.read_idx, ()), whole, tmp_path)[0] == "FAULT"


def test_mutations_are_many_and_the_same_for_the_same_seed():
    whole = b'{"step": 12, "rate": 0.5, "name": "resnet"}' * 9
    made = [mutated(whole, random.Random(k)) for k in range(200)]
    assert made == [mutated(whole, random.Random(k)) for k in range(200)]
    assert len(set(made)) > 150
    assert {len(each) < len(whole) for each in made} == {True, False}
    assert any(b"9999999" in each for each in made)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(isinstance(mutated(b"", random.Random(k)), bytes) for k in range(50))
