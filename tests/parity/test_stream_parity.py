"""gpt, vit and dynamic hyper-connections beside nets made of PyTorch's own modules in float64: the same weights by key,
values, and derivatives of first and second order."""

import numpy as np
import pytest

from tinyres import models, nn

torch = pytest.importorskip("torch")
from tests.parity.derivatives import both, orders  # noqa: E402 (it needs PyTorch)
from tests.parity.test_attention_parity import Called, twice_differentiable  # noqa: E402, F401

pytestmark = pytest.mark.parity
WIDTH, HEADS, DEPTH, SYMBOLS, LENGTH = 6, 2, 2, 7, 5


def blocks(norm, activation="gelu"):
    layer = lambda: torch.nn.TransformerEncoderLayer(
        WIDTH, HEADS, 4 * WIDTH, 0.0, activation, batch_first=True, norm_first=norm == "pre"
    )
    return torch.nn.Sequential(*(layer() for _ in range(DEPTH)))


def away_from_the_start(net):
    """Norms that are no identities, and biases that are not 0."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in net.parameters():
            value.add_(0.2 * torch.randn(value.shape, generator=generator, dtype=value.dtype))
    return net


class Patches(torch.nn.Module):
    def __init__(self, channels, patch, size):
        super().__init__()
        self.patches = torch.nn.Conv2d(channels, WIDTH, patch, stride=patch)
        self.positions = torch.nn.Parameter(torch.zeros((size // patch) ** 2, WIDTH))

    def forward(self, x):
        return self.patches(x).flatten(2).mT + self.positions


class Mean(torch.nn.Module):
    def forward(self, x):
        return x.mean(1)


class ViT(torch.nn.Module):
    def __init__(self, norm, activation, channels, patch, size, classes):
        super().__init__()
        self.stem, self.blocks = Patches(channels, patch, size), blocks(norm, activation)
        last = [torch.nn.LayerNorm(WIDTH)] if norm == "pre" else []
        self.head = torch.nn.Sequential(*last, Mean(), torch.nn.Linear(WIDTH, classes))

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)))


@pytest.mark.parametrize(
    ("norm", "activation", "channels", "patch", "size"),
    [("pre", "gelu", 3, 2, 6), ("post", "gelu", 1, 3, 6), ("pre", "relu", 2, 1, 2)],
)
def test_vit(norm, activation, channels, patch, size):
    settings = {"in_channels": channels, "classes": 4, "size": size, "patch": patch, "heads": HEADS, "norm": norm}
    ours = models.vit(DEPTH, WIDTH, activation=activation, **settings)
    ours, theirs = both(ours, away_from_the_start(ViT(norm, activation, channels, patch, size, 4)))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    orders(ours, theirs, (2, channels, size, size))


class GPT(torch.nn.Module):
    def __init__(self, norm, tied):
        super().__init__()
        self.stem, self.positions = torch.nn.Embedding(SYMBOLS, WIDTH), torch.nn.Embedding(LENGTH + 1, WIDTH)
        self.blocks = blocks(norm)
        if norm == "pre":
            self.norm = torch.nn.LayerNorm(WIDTH)
        self.head = torch.nn.Linear(WIDTH, SYMBOLS, bias=False)
        if tied:
            self.head.weight = self.stem.weight

    def forward(self, index):
        hidden = torch.nn.Transformer.generate_square_subsequent_mask(index.shape[1], dtype=torch.float64)
        x = self.stem(index) + self.positions.weight[: index.shape[1]]
        for block in self.blocks:
            x = block(x, src_mask=hidden, is_causal=True)
        return self.head(self.norm(x) if hasattr(self, "norm") else x)


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("tied", [True, False])
def test_gpt(norm, tied):
    ours = models.gpt(DEPTH, WIDTH, HEADS, symbols=SYMBOLS, context=LENGTH + 1, norm=norm, tied=tied)
    ours, theirs = both(ours, away_from_the_start(GPT(norm, tied)))
    index = np.random.default_rng(2).integers(0, SYMBOLS, (3, LENGTH))
    mine = Called(ours, lambda m, x: m(index) * x)  # symbols have no derivatives, so x multiplies the logits
    other = Called(theirs, lambda m, x: m(torch.as_tensor(index)) * x)
    orders(mine, other, (3, LENGTH, SYMBOLS))


class Dynamic(torch.nn.Module):
    def __init__(self, columns):
        super().__init__()
        self.weight, self.scale = torch.nn.Parameter(torch.zeros(WIDTH, columns)), torch.nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.scale * torch.tanh(torch.nn.functional.layer_norm(x, (WIDTH,)) @ self.weight)


class ReadAndWrite(torch.nn.Module):
    def __init__(self, streams):
        super().__init__()
        self.branch = torch.nn.Linear(WIDTH, WIDTH)
        self.read, self.write = (torch.nn.Parameter(torch.ones(shape)) for shape in ((1, streams), (streams, 1)))
        self.dynamic_read, self.dynamic_write = Dynamic(1), Dynamic(1)


class Mixing(torch.nn.Module):
    def __init__(self, streams):
        super().__init__()
        self.weight, self.dynamic = torch.nn.Parameter(torch.eye(streams)), Dynamic(streams)


class Hyper(torch.nn.Module):
    """By stream: the sums over streams are written out, so that nothing is transposed in the same way."""

    def __init__(self, streams):
        super().__init__()
        self.branch, self.shortcut = ReadAndWrite(streams), Mixing(streams)

    def forward(self, x):
        way, mix = self.branch, self.shortcut
        matrix = mix.weight.T + mix.dynamic(x)  # from, to
        read, write = way.read[0] + way.dynamic_read(x)[..., 0], way.write[:, 0] + way.dynamic_write(x)[..., 0]
        y = way.branch(torch.einsum("...n,...ne->...e", read, x))
        return torch.einsum("...st,...se->...te", matrix, x) + torch.einsum("...n,...e->...ne", write, y)


@pytest.mark.parametrize("streams", [1, 3])
def test_dynamic_hyper_connections(streams):
    ours = nn.HyperConnections(nn.Linear(WIDTH, WIDTH), streams, dynamic=True, width=WIDTH)
    ours, theirs = both(ours, away_from_the_start(Hyper(streams)))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    orders(ours, theirs, (2, 4, streams, WIDTH))
