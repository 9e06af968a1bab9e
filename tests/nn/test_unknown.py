"""Arguments of PyTorch's layers that are not here: a sentence with the mend, in place of Python's own."""

import copy
import pickle

import pytest

from tinyres import nn


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: nn.Embedding(3, 4, max_norm=1.0), "Embedding: there is no argument 'max_norm' here: scale the rows"),
        (lambda: nn.Linear(3, 4, device="cpu"), r"Linear: there is no argument 'device' here: call .to\(device\)"),
        (lambda: nn.LSTM(3, 4, proj_size=2), "LSTM: there is no argument 'proj_size' here: put an nn.Linear after it"),
        (lambda: nn.Linear(in_feature=3, out_features=4), r"did you mean in_features.*\? It takes in_features, out_"),
        (lambda: nn.BatchNorm2d(3, nonsense=1), "there is no argument 'nonsense' here: leave it out. It takes"),
    ],
)
def test_what_is_not_there_is_said_with_the_mend(make, said):
    with pytest.raises(TypeError, match=said):
        make()


def test_classes_of_others_keep_pythons_sentence_and_right_arguments_pass():
    class Own(nn.Module):
        def __init__(self, width=3):
            self.layer = nn.Linear(in_features=width, out_features=2, rng=0)

    assert Own(width=4).layer.in_features == 4
    with pytest.raises(TypeError, match="unexpected keyword argument 'max_norm'"):
        Own(max_norm=1)
    assert pickle.loads(pickle.dumps(nn.Linear(2, 3, rng=0))).out_features == 3
    assert copy.deepcopy(Own(5)).layer.in_features == 5
