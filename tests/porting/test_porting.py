"""Ten scripts for PyTorch, run with PyTorch and, after their imports were replaced, with tinyres: equal losses.

`python -m tests.porting.test_porting` prints the largest difference of each.
"""

import numpy as np
import pytest

import tinyres as tr
from tests.porting.ported import SCRIPTS, drawn, module_of, ported

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity
STEPS = 20


def both(name, dtype, steps=STEPS):
    """What a script returns with PyTorch and with tinyres, from the same weights and on the same data."""
    source = SCRIPTS[name].read_text()
    theirs, ours = module_of(source, name), module_of(ported(source), name)
    torch.manual_seed(0)
    model = theirs.build().to(getattr(torch, dtype))
    state = {key: value.detach().numpy().copy() for key, value in model.state_dict().items()}
    copy = ours.build().to(dtype)
    copy.load_state_dict(state)
    expected = theirs.train(model, steps, drawn(torch, dtype))
    return np.array(expected), np.array(ours.train(copy, steps, drawn(tr, dtype)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_losses_of_twenty_steps(name, dtype):
    """To 1e-5 in float32; in float64 to rounding, or to that of the float32 numbers of `linspace` in the data."""
    expected, found = both(name, dtype)
    assert expected.shape == found.shape
    assert len(expected) >= STEPS
    assert np.ptp(expected) > 1e-2  # it does train
    tolerance = 1e-5 if dtype == "float32" else 1e-6 if "linspace" in SCRIPTS[name].read_text() else 1e-12
    np.testing.assert_allclose(found, expected, tolerance, tolerance)


if __name__ == "__main__":
    for script in SCRIPTS:
        for kind in ("float32", "float64"):
            a, b = both(script, kind)
            print(f"{script:16s} {kind}  {len(a):4d} numbers  largest difference {np.abs(a - b).max():.1e}")
