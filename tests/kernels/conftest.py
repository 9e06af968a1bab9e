"""What several folders of kernels' tests share."""

from functools import cache

import pytest

from tests.kernels.kept_cases import kept_cases


@pytest.fixture(scope="session")
def plan_cases(tmp_path_factory):
    """plan_cases(op, dtype): the cases of an operation's plans."""
    return cache(lambda op, dtype: kept_cases(tmp_path_factory, op, dtype))
