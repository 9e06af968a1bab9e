"""detect_anomaly names the operation, the range of its inputs and the user's line."""

import numpy as np
import pytest

import tinyres as tr
from tests.autograd.leaves import leaf
from tinyres import data, models, nn
from tinyres.training import evaluate


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


class Wrong(nn.Module):
    def forward(self, x):
        return tr.log(-1 - x * x)


def test_an_evaluation_does_not_mute_it():
    images = data.Dataset(np.ones((4, 2), "f"), np.zeros(4, "int64"), classes=2)
    with tr.detect_anomaly(), np.errstate(invalid="ignore"), pytest.raises(FloatingPointError, match="log made NaN"):
        evaluate(Wrong(), images)


def test_it_fuses_as_much_as_training_does():
    net = models.resnet(8, width=4, rng=0)
    x = tr.tensor(np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype("f"))
    names = []
    for block in (tr.enable_grad(), tr.detect_anomaly(), tr.Observer()):
        with block:
            names.append([node.name for node in ancestors(net(x).sum().node)])
    assert names[0] == names[1] != names[2]


def ancestors(node):
    found, waiting = [], [node]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in found:
            found.append(node)
            waiting += node.parents
    return found


def test_as_a_decorator_it_is_on_while_the_function_runs():
    @tr.detect_anomaly()
    def wrong():
        return tr.log(tr.tensor([-1.0]))

    with np.errstate(invalid="ignore"):
        with pytest.raises(FloatingPointError, match="log made NaN"):
            wrong()
        assert np.isnan(tr.log(tr.tensor([-1.0])).numpy()).all()


def test_what_is_sent_by_another_node_in_between_keeps_its_own_cotangent():
    """The range in the message is that of the rule's own cotangent, not of the last that was seen."""
    x = tr.tensor([0.0, 4.0], requires_grad=True)
    with tr.detect_anomaly(), np.errstate(divide="ignore"):
        y = (3 * tr.sqrt(x)).sum() + tr.exp(x).sum()
        with pytest.raises(FloatingPointError, match=r"rule of <sqrt .*; its cotangent was \[3, 3\]"):
            y.backward()


def test_anomaly_detection_lets_integers_and_empty_tensors_pass():
    with tr.detect_anomaly():
        x = tr.tensor([1, 2, 3])
        assert (x + x).tolist() == [2, 4, 6]
        empty = tr.tensor(np.ones((0, 2)), requires_grad=True)
        tr.exp(empty).sum().backward()
        with (
            pytest.raises(FloatingPointError, match=r"div made Inf .* b: \[0, 0\] of shape \(2,\)"),
            np.errstate(all="ignore"),
        ):
            leaf(2) / tr.tensor(np.zeros(2))


def test_a_sum_of_finite_contributions_and_a_cotangent_of_the_callers():
    x = tr.tensor(np.array([1.0], "f"), requires_grad=True)
    with tr.detect_anomaly(), np.errstate(over="ignore"):
        y, z = x * np.float32(3e38), x * np.float32(3e38)
        with pytest.raises(FloatingPointError, match=r"the gradient at <leaf .*, summed over all that use it, is Inf"):
            tr.grad([y, z], x, [np.ones(1, "f")] * 2)
        with pytest.raises(FloatingPointError, match=r"the gradient at <mul .* is NaN; .* called at .*test_anomaly"):
            tr.grad(x * np.float32(2), x, np.full(1, np.nan, "f"))
