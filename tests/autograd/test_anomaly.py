"""detect_anomaly names the operation, the range of its inputs and the user's line."""

import numpy as np
import pytest

import tinyres as tr


def test_the_first_nan_forward():
    x = tr.tensor([-1.0, 4.0], requires_grad=True)
    expected = r"log made NaN at .*test_anomaly\.py:\d+; its inputs were x: \[-1, 4\] of shape \(2,\)"
    with tr.detect_anomaly(), np.errstate(invalid="ignore"), pytest.raises(FloatingPointError, match=expected):
        tr.exp(tr.log(x))


def test_the_first_inf_backward_names_where_the_operation_was_called():
    x = tr.tensor([0.0, 4.0], requires_grad=True)
    with tr.detect_anomaly(), np.errstate(divide="ignore"):
        y = tr.sqrt(x).sum()
        expected = r"rule of <sqrt .* for argument 0 made Inf; its cotangent was \[1, 1\].*called at .*test_anomaly"
        with pytest.raises(FloatingPointError, match=expected):
            y.backward()


def test_without_it_nothing_is_checked():
    with np.errstate(invalid="ignore"):
        assert np.isnan(tr.log(tr.tensor([-1.0])).numpy()).all()
