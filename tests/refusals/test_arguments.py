"""Arguments of PyTorch that are not here, or are of another kind: a sentence with the mend, not Python's own."""

import copy
import pickle

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn, optim
from tinyres.nn import functional as F
from tinyres.utils.data import DataLoader, TensorDataset

v, p = tr.tensor([1.0, 2.0, 3.0]), nn.Parameter(np.ones(3))
sgd = optim.SGD([p], lr=0.1)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: nn.Embedding(3, 4, max_norm=1.0), "Embedding: there is no argument 'max_norm' here: scale the rows"),
        (lambda: nn.Linear(3, 4, device="cpu"), r"Linear: there is no argument 'device' here: call .to\(device\)"),
        (lambda: nn.LSTM(3, 4, proj_size=2), "LSTM: there is no argument 'proj_size' here: put an nn.Linear after it"),
        (lambda: nn.Linear(in_feature=3, out_features=4), r"did you mean in_features.*\? It takes in_features, out_"),
        (
            lambda: tr.zeros(2, pin_memory=True),
            r"zeros: .*'pin_memory' here: leave it out.* It takes dtype, device, req",
        ),
        (lambda: v.new_zeros(2, layout=1), "new_zeros: there is no argument 'layout' here: leave it out"),
        (lambda: tr.add(v, v, out=v), r"add: .*'out' here: .* bind the result, y = tr.add\(...\). It takes input, oth"),
        (lambda: tr.mul(v, v, out=v), r"mul: .*'out' here: .* y = tr.mul\(...\). It takes input, other"),
        (lambda: tr.relu(v, inplace=True), r"relu: .*'inplace' here: .* x = tr.relu\(x\). It takes input"),
        (lambda: nn.BatchNorm2d(3, bias=False), "BatchNorm2d: there is no argument 'bias' here"),
        (lambda: nn.RMSNorm(3, bias=True), "RMSNorm: there is no argument 'bias' here"),
        (lambda: optim.StepLR(sgd, 3, last_epoch=2), "StepLR: there is no argument 'last_epoch' here"),
        (lambda: v.sum(out=v), r"sum: there is no argument 'out' here"),
        (lambda: v.relu(inplace=True), r"relu: .*'inplace' here: .* x = tr.relu\(x\)"),
        (lambda: tr.tensor([1.0], pin_memory=True), "tensor: there is no argument 'pin_memory' here: leave it out"),
        (lambda: v.backward(inputs=[v]), r"backward: .*tr.grad\(y, inputs\)"),
        (lambda: v.to("cpu", memory_format=1), "to: there is no argument 'memory_format' here"),
        (lambda: tr.load("x", mmap=True), "load: there is no argument 'mmap' here"),
        (lambda: tr.compile(print, mode="x"), r"compile: .*'mode' here: leave it out: .* tr.compile\(step, model, opt"),
        (lambda: F.cross_entropy(v, v, size_average=True), 'cross_entropy: .* write reduction="mean" or "sum"'),
        (lambda: nn.init.normal_(p, generator=1), "normal_: there is no argument 'generator' here"),
        (lambda: optim.AdamW([p], capturable=True), "AdamW: there is no argument 'capturable' here"),
        (lambda: optim.AdamW([p], beta=0.9), "'beta' here: did you mean betas"),
        (lambda: optim.StepLR(sgd, 3, verbose=True), r"StepLR: .*'verbose' here: .*scheduler.get_last_lr\(\)"),
        (lambda: optim.ReduceLROnPlateau(sgd, verbose=True), "ReduceLROnPlateau: there is no argument 'verbose'"),
        (lambda: DataLoader(TensorDataset(v), multiprocessing_context=1), "DataLoader: .* loaded in this process"),
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


@pytest.mark.parametrize(
    ("make", "kind", "said"),
    [
        (lambda: optim.SGD([p], momentum=None), TypeError, "SGD: momentum must be a number, got None"),
        (lambda: optim.AdamW([p], lr="a"), TypeError, "AdamW: lr must be a number, got 'a'"),
        (lambda: optim.AdamW([p], betas=0.9), TypeError, "AdamW: betas must be 2 numbers, got 0.9"),
        (lambda: optim.AdamW(p), TypeError, r"AdamW: params must be a list .* got a tensor of shape \(3,\)"),
        (lambda: optim.SGD(5), TypeError, "SGD: params must be a list of parameters, .* got 5"),
        (lambda: optim.StepLR(p, 5), TypeError, r"StepLR: optimizer must be an optimiser, .* an array of shape \(3,\)"),
        (lambda: optim.StepLR(sgd, "a"), TypeError, "StepLR: step_size must be a number of at least 1, got 'a'"),
        (lambda: nn.Dropout("a"), TypeError, "Dropout: p must be a number from 0 to 1, got 'a'"),
        (lambda: nn.Dropout(p=1.5), ValueError, "Dropout: p must be a number from 0 to 1, got 1.5"),
        (lambda: nn.BatchNorm2d(3, momentum="x"), TypeError, "BatchNorm2d: momentum must be a number from 0 to 1, got"),
        (lambda: nn.Linear(-1, 3), ValueError, "Linear: in_features must be a whole number of at least 1, got -1"),
        (lambda: nn.Linear(2.5, 3), TypeError, "Linear: in_features must be a whole number of at least 1, got 2.5"),
        (lambda: nn.Linear(2, 3, rng="a"), TypeError, "Linear: rng must be a seed, .* got 'a'"),
        (lambda: nn.Conv2d(3, 4, (3, 0)), ValueError, "Conv2d: kernel_size must be a whole number of at least 1, or "),
        (lambda: nn.Conv2d(3, 4, 3, padding="full"), ValueError, "Conv2d: padding must be .*'same', or 'valid', got"),
        (lambda: nn.ReLU("a"), TypeError, "ReLU: inplace must be True or False, got 'a'"),
        (lambda: nn.GELU("foo"), ValueError, "GELU: approximate must be 'none' or 'tanh', got 'foo'"),
        (lambda: nn.Residual(3), TypeError, r"Residual: branch must be a module, such as nn.Linear\(3, 3\), got 3"),
        (
            lambda: DataLoader([1], batch_size="a"),
            TypeError,
            "DataLoader: batch_size must be a whole number of at leas",
        ),
        (lambda: nn.utils.clip_grad_norm_([p], "a"), TypeError, "clip_grad_norm_: max_norm must be a number of at le"),
        (lambda: nn.utils.clip_grad_norm_(5, 1.0), TypeError, "clip_grad_norm_: parameters must be a list"),
        (lambda: tr.randint(0, 3), TypeError, r"randint: size must be a shape, .* got 3"),
        (lambda: F.softmax(v, dim=3), ValueError, "softmax: axis 3 is out of range for 1 dimensions"),
        (lambda: v.sum(3), ValueError, "sum: axis 3 is out of range"),
        (lambda: F.softmax(v, dim="a"), TypeError, "softmax: dim must be a whole number, or None, got"),
        (lambda: F.glu("a"), TypeError, "glu: .* a tensor or an array, got"),
    ],
)
def test_an_argument_of_another_kind_is_named(make, kind, said):
    with pytest.raises(kind, match=said):
        make()


def flags():
    """By the name of a flag: what takes it, switched on or off."""
    image, line, wide = tr.ones((1, 1, 4, 4)), tr.tensor([[1.0, 2.0, 3.0]]), tr.ones((1, 2, 2))
    net, weight = nn.Linear(2, 2, rng=0), nn.Parameter(np.ones(3))

    def loss(x=weight):
        return (x * x).sum()

    def backward(**flag):
        loss().backward(**flag)

    def max_norm(**flag):
        backward()
        return nn.utils.clip_grad_norm_([weight], 1.0, **flag)

    return {
        "dropout.training": lambda **flag: F.dropout(v, 0.5, **flag),
        "dropout1d.training": lambda **flag: F.dropout1d(wide, 0.5, **flag),
        "dropout2d.training": lambda **flag: F.dropout2d(image, 0.5, **flag),
        "max_pool2d.ceil_mode": lambda **flag: F.max_pool2d(image, 3, **flag),
        "max_pool2d.return_indices": lambda **flag: F.max_pool2d(image, 2, **flag),
        "avg_pool2d.ceil_mode": lambda **flag: F.avg_pool2d(image, 3, **flag),
        "avg_pool2d.count_include_pad": lambda **flag: F.avg_pool2d(image, 3, padding=1, **flag),
        "scaled_dot_product_attention.is_causal": lambda **flag: F.scaled_dot_product_attention(
            wide, wide, wide, **flag
        ),
        "interpolate.align_corners": lambda **flag: F.interpolate(image, scale_factor=2, mode="bilinear", **flag),
        "sort.descending": lambda **flag: tr.sort(v, **flag),
        "topk.largest": lambda **flag: tr.topk(v, 2, **flag),
        "multinomial.replacement": lambda **flag: tr.multinomial(line, 2, **flag),
        "sum.keepdim": lambda **flag: tr.sum(line, dim=1, **flag),
        "grad.create_graph": lambda **flag: tr.grad(loss(), weight, **flag),
        "grad.retain_graph": lambda **flag: tr.grad(loss(), weight, **flag),
        "grad.allow_unused": lambda **flag: tr.grad(loss(), weight, **flag),
        "backward.create_graph": backward,
        "backward.retain_graph": backward,
        "clip_grad_norm_.error_if_nonfinite": max_norm,
        "train.mode": lambda **flag: net.train(**flag),
        "requires_grad_.requires_grad": lambda **flag: net.requires_grad_(**flag),
        "load_state_dict.strict": lambda **flag: net.load_state_dict(net.state_dict(), **flag),
        "SGD.nesterov": lambda **flag: optim.SGD([p], lr=0.1, momentum=0.9, **flag),
        "RMSprop.centered": lambda **flag: optim.RMSprop([p], lr=0.1, **flag),
        "Linear.bias": lambda **flag: nn.Linear(2, 2, **flag),
        "DataLoader.shuffle": lambda **flag: DataLoader([1, 2], **flag),
    }


@pytest.mark.parametrize("name", flags())
def test_a_word_is_no_flag(name):
    """Any text would mean True, "no" as well."""
    _, flag = name.split(".")
    call = flags()[name]
    with pytest.raises(TypeError, match=rf"^{name.replace('.', ': ')} must be True or False, got 'no'"):
        call(**{flag: "no"})
    for value in (True, False):
        call(**{flag: value})


def test_numbers_of_every_sort_and_arguments_that_are_not_made_for_checking_pass():
    assert optim.AdamW([p], lr=np.float32(0.1), betas=[0.9, 0.99]).lr == np.float32(0.1)
    assert optim.SGD([p], lr=tr.tensor(0.1)).lr.item() == pytest.approx(0.1)
    assert nn.Linear(np.int64(3), 2, bias=np.bool_(False), rng=np.random.default_rng(0)).bias is None
    assert nn.Dropout(p=1).p == 1
    assert nn.RMSNorm(3, eps=None).eps is None
    assert tr.checkpoint(lambda x: 2 * x, v, use_reentrant=False).shape == (3,)

    class Own(nn.Module):
        def __init__(self, p, momentum):
            self.p, self.momentum = p, momentum

    assert Own(p="any", momentum=None).p == "any"


def test_what_pytorch_takes_is_not_refused():
    """Integers and numbers of NumPy's, None where it is a choice of its own, any name of a subclass's argument."""

    class Scaled(nn.Linear):
        def __init__(self, p, beta):
            super().__init__(np.int64(3), 3, bias=np.bool_(True))
            self.p = p

    assert Scaled("any", None).p == "any"
    assert nn.Softmax(dim=None).dim is None
    assert nn.LayerNorm(np.int32(4)).normalized_shape == nn.RMSNorm(np.int64(4)).normalized_shape == (4,)
    assert nn.Dropout(np.float32(0.5)).p == 0.5
    assert nn.MaxPool2d(2, None).stride == 2


def test_pytorchs_defaults_of_what_is_not_here_ask_for_nothing():
    """tests/parity/test_defaults_parity.py tries all of them."""
    layer = nn.Embedding(3, 4, max_norm=None, scale_grad_by_freq=False, device=None, rng=0)
    np.testing.assert_array_equal(layer.weight.numpy(), nn.Embedding(3, 4, rng=0).weight.numpy())
    assert optim.SGD([p], lr=0.1, maximize=False, capturable=False).lr == 0.1

    class Own(nn.Linear):
        def __init__(self, width):
            super().__init__(width, 3, device=None, dtype=None, rng=0)

    assert Own(2).weight.shape == (3, 2)
    assert tr.sum(v, out=None) == v.sum(out=None) == tr.mul(v, 1.0, out=None).sum() == 6
    with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
        tr.mul(v, v, nonsense=None)


def test_pytorchs_names_of_inputs():
    x = tr.tensor([[1.0, -2.0]], requires_grad=True)
    for y, expected in (
        (tr.relu(input=x), [[1, 0]]), (tr.mul(input=x, other=x), [[1, 4]]), (tr.sum(input=x, dim=1), [-1]),
        (tr.matmul(input=x, other=x.T), [[5]]), (tr.where(x > 0, input=x, other=7.0), [[1, 7]]),
        (x.maximum(other=0.0), [[1, 0]]), (tr.cat(tensors=[x, x]), [[1, -2], [1, -2]]),
    ):  # fmt: skip
        np.testing.assert_array_equal(y.detach().numpy(), expected)
    np.testing.assert_array_equal(tr.grad(tr.mul(input=x, other=x).sum(), x)[0].numpy(), [[2, -4]])
