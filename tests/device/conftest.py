"""`gpu`: CuPy's module, be it the stand-in or, where there is a GPU, CuPy itself."""

from importlib.util import find_spec

import pytest

from tests.device.stand_in import standing_in


def reason_without_gpu():
    """Why nothing can run on a GPU here; None where something can."""
    if find_spec("cupy") is None:
        return "no GPU tests: CuPy is not installed"
    import cupy

    return None if cupy.cuda.is_available() else "no GPU tests: CuPy finds no GPU or no driver"


# Without CuPy nothing is made that could only be skipped, a thousand times: tests/kernels/cuda/test_gpu.py says so.
CUPY = [pytest.param("cupy", marks=pytest.mark.gpu)] if find_spec("cupy") else []


@pytest.fixture(params=["double", *CUPY])
def gpu(request):
    if request.param == "double":
        with standing_in() as module:
            yield module
        return
    missing = reason_without_gpu()
    if missing:
        pytest.skip(missing)
    yield pytest.importorskip("cupy")


@pytest.fixture
def double():
    """The stand-in alone: for what only it can see."""
    with standing_in() as module:
        yield module
