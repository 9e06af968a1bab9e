"""Each planted fault is noticed: `pytest -m mutation`, or all of them and a table by `python -m tests.mutations`."""

from functools import cache

import pytest

from tests.mutations.faults import FAMILIES, faults
from tests.mutations.run import judge, unsound

pytestmark = pytest.mark.mutation

once = cache(lambda tests: unsound(tests))


@pytest.mark.parametrize("fault", faults(*FAMILIES), ids=lambda fault: f"{fault.family}: {fault.name}")
def test_it_is_noticed(fault):
    assert once(fault.tests) == {}
    found = judge(fault)
    assert found.verdict == "noticed", found.how
