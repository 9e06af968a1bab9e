"""Parts of the GPU report that do what a test says; and BLAS as it was before."""

import sys

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from tests.bench.stages import ENDS, START
from tinyres.bench.gpu import report


@pytest.fixture(scope="module", autouse=True)
def blas_threads():
    """A benchmark in this process gives BLAS a thread for each core, which spin after every product: left so, a later
    test's products took up to fifty times as long beside another worker.
    """
    before = max((pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"), default=1)
    yield
    threadpool_limits(before, user_api="blas")


@pytest.fixture
def ends(monkeypatch):
    """{part: what its process does}, to be changed."""
    made = dict(ENDS)
    monkeypatch.setattr(
        report, "command", lambda name, out: [sys.executable, "-c", START + made.get(name, ""), name, str(out)]
    )
    return made
