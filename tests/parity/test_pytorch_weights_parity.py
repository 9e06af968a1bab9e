"""CIFAR's ResNets as they are spread in PyTorch, in a net of our own hand: the same logits from the same file."""

import warnings

import numpy as np
import pytest

import tinyres as tr
from tinyres import models, nn

torch = pytest.importorskip("torch")
F = torch.nn.functional
pytestmark = pytest.mark.parity


class Padded(torch.nn.Module):
    """Every second pixel; zeros on both sides of the channels, or behind them."""

    def __init__(self, planes, both):
        super().__init__()
        self.zeros = (planes // 4, planes // 4) if both else (0, planes // 2)

    def forward(self, x):
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, *self.zeros))


class Block(torch.nn.Module):
    def __init__(self, channels, planes, stride, name, shortcut):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(channels, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(planes)
        self.conv2 = torch.nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(planes)
        self.name, around = name, torch.nn.Sequential()
        if stride > 1 and shortcut == "projected":
            conv = torch.nn.Conv2d(channels, planes, 1, stride=stride, bias=False)
            around = torch.nn.Sequential(conv, torch.nn.BatchNorm2d(planes))
        elif stride > 1:
            around = Padded(planes, shortcut == "both")
        setattr(self, name, around)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + getattr(self, self.name)(x))


class ResNet(torch.nn.Module):
    """n blocks in each of three stages; `head` and `name` are what the last layer and the shortcuts are called."""

    def __init__(self, n, width, head, name, shortcut, classes=7):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(width)
        channels = width
        for stage in range(3):
            blocks, planes = [], width * 2**stage
            for k in range(n):
                blocks.append(Block(channels, planes, 2 if stage and not k else 1, name, shortcut))
                channels = planes
            setattr(self, f"layer{stage + 1}", torch.nn.Sequential(*blocks))
        self.head = head
        setattr(self, head, torch.nn.Linear(channels, classes))

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return getattr(self, self.head)(x.mean((2, 3)))


def drawn(net):
    """In float64 and evaluation, with norms that are no identities."""
    net = net.double().eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in net.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator) + 0.5 if value.ndim == 1 else value)
    return net


def differ(ours, theirs, shape=(2, 3, 16, 16)):
    """The largest difference of the outputs, relative to the largest output."""
    x = np.random.default_rng(2).standard_normal(shape)
    with torch.no_grad():
        y = theirs(torch.tensor(x)).numpy()
    return np.abs(ours.eval()(tr.tensor(x)).detach().numpy() - y).max() / np.abs(y).max()


CASES = {
    "Idelbayev's, padded": ("linear", "shortcut", "both", {}),
    "Idelbayev's, projected": ("linear", "shortcut", "projected", {}),
    "Chen's": ("fc", "downsample", "projected", {}),
    "fc, padded on both sides": ("fc", "shortcut", "both", {"two_sided": True}),
    "fc, padded behind": ("fc", "downsample", "behind", {"two_sided": False}),
    "linear, padded behind": ("linear", "shortcut", "behind", {"two_sided": False}),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("n", [1, 3])
def test_logits_of_a_net_that_was_saved_in_pytorch(case, n):
    head, name, shortcut, said = CASES[case]
    theirs = drawn(ResNet(n, 8, head, name, shortcut))
    ours = models.from_pytorch(theirs.state_dict(), **said)
    assert len(ours.blocks) == 3 * n
    assert next(ours.parameters()).dtype == np.float64
    assert differ(ours, theirs) < 1e-10
    if shortcut != "projected":  # the other padding is another function
        other = models.from_pytorch(theirs.state_dict(), two_sided=shortcut == "behind")
        assert differ(other, theirs) > 1e-3


def test_padded_shortcuts_whose_zeros_nobody_told():
    state = ResNet(1, 8, "fc", "shortcut", "both").state_dict()
    with pytest.raises(ValueError, match=r"pass two_sided=True if the net pads the channels on both sides"):
        models.from_pytorch(state)


@pytest.mark.parametrize("wrap", ["parallel", "compiled", "both", "inside", "checkpoint"])
def test_what_wrappers_put_before_the_names(wrap):
    theirs = drawn(ResNet(1, 8, "linear", "shortcut", "both"))
    wrapped = torch.nn.DataParallel(theirs) if wrap in ("parallel", "both") else theirs
    if wrap in ("compiled", "both"):
        wrapped = torch.compile(wrapped)
    if wrap == "inside":
        theirs.layer2[0] = torch.compile(theirs.layer2[0])
    state = {"best_prec1": 91.0, "state_dict": theirs.state_dict()} if wrap == "checkpoint" else wrapped.state_dict()
    if wrap not in ("checkpoint",):
        assert any("module." in key or "_orig_mod." in key for key in state)
    ours = models.from_pytorch(state)
    theirs = ResNet(1, 8, "linear", "shortcut", "both").double().eval()
    assert differ(ours, drawn(theirs)) > 0.1  # other weights: the file decides, not the names
    plain = {k.replace("_orig_mod.", "").replace("module.", ""): v for k, v in wrapped.state_dict().items()}
    theirs.load_state_dict(plain)
    assert differ(ours, theirs) < 1e-10


def test_load_state_dict_says_what_to_do_about_names():
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
    ours = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    for wrapped, word in ((torch.nn.DataParallel(net), "module."), (torch.compile(net), "_orig_mod.")):
        state_dict = wrapped.state_dict()
        with pytest.raises(RuntimeError, match=f"put '{word}' into the keys: take it out, {{key.replace") as caught:
            ours.load_state_dict(state_dict)
        told = str(caught.value).split("take it out, ")[1].splitlines()[0]
        ours.load_state_dict(eval(told))  # what is said works as it stands
        np.testing.assert_array_equal(ours[2].weight.numpy(), net[2].weight.detach().numpy())
    with pytest.raises(RuntimeError, match=r"models\.from_pytorch\(state_dict\) makes the net"):
        models.resnet(8, rng=0).load_state_dict(ResNet(1, 16, "linear", "shortcut", "both", 10).state_dict())
    with pytest.raises(RuntimeError) as caught:
        ours.load_state_dict({"other": np.zeros(2)})
    assert "keys" not in str(caught.value)
    assert "from_pytorch" not in str(caught.value)


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
def test_sixteen_bits_are_widened_and_that_is_said_in_a_line(kind):
    theirs = torch.nn.Linear(3, 2).to(getattr(torch, kind))
    ours = nn.Linear(3, 2)
    with pytest.warns(UserWarning, match=f"weight and 1 more came as {kind} and became float32") as caught:
        ours.load_state_dict(theirs.state_dict())
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(ours.weight.numpy(), theirs.weight.detach().float().numpy())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours.load_state_dict(theirs.float().state_dict())


LAYERS = {
    "linear": (lambda lib: lib.Linear(5, 5), (2, 5)),
    "convolution": (lambda lib: lib.Conv2d(4, 6, 3), (2, 4, 5, 5)),
    "transposed": (lambda lib: lib.ConvTranspose2d(4, 4, 3), (2, 4, 5, 5)),
}
PARAMETRISED = {
    "spectral": lambda m: torch.nn.utils.parametrizations.spectral_norm(m),
    "older spectral": lambda m: torch.nn.utils.spectral_norm(m),
    "weight": lambda m: torch.nn.utils.parametrizations.weight_norm(m),
    "weight, other axis": lambda m: torch.nn.utils.parametrizations.weight_norm(m, dim=1),
    "weight, all axes": lambda m: torch.nn.utils.parametrizations.weight_norm(m, dim=None),
    "older weight": lambda m: torch.nn.utils.weight_norm(m),
}


@pytest.mark.filterwarnings("ignore:.*(weight_norm|spectral_norm).* is deprecated")
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("kind", PARAMETRISED)
def test_weights_that_pytorch_keeps_in_parts(layer, kind):
    make, shape = LAYERS[layer]
    torch.manual_seed(0)
    theirs = torch.nn.Sequential(torch.nn.ReLU(), PARAMETRISED[kind](make(torch.nn).double()))
    for _ in range(2):
        theirs(torch.randn(shape, dtype=torch.float64))  # u and v move
    theirs.eval()
    state = theirs.state_dict()
    plain = nn.Sequential(nn.ReLU(), make(nn)).to("float64")
    plain.load_state_dict(state)
    assert differ(plain, theirs, shape) < 1e-10
    if "spectral" in kind:
        normed = nn.spectral_norm(nn.Sequential(nn.ReLU(), make(nn)).to("float64"), rng=0)
        normed.load_state_dict(state)
        assert differ(normed, theirs, shape) < 1e-10
        u = next(value for key, value in state.items() if key.endswith("_u"))
        np.testing.assert_array_equal(normed[1].weight_u.numpy(), u.numpy())


def test_batches_that_an_old_file_did_not_count():
    theirs = torch.nn.BatchNorm2d(3)
    theirs.train()(torch.randn(4, 3, 2, 2))
    state = {key: value for key, value in theirs.state_dict().items() if key != "num_batches_tracked"}
    ours = nn.BatchNorm2d(3)
    ours.num_batches_tracked.data = np.asarray(5)
    assert ours.load_state_dict(state) == ([], [])
    assert ours.num_batches_tracked.data == 0
    with pytest.raises(RuntimeError, match="missing: running_mean"):
        ours.load_state_dict({key: value for key, value in state.items() if key != "running_mean"})
