"""Nets whose batch norms can be fused with what follows them, and some whose cannot."""

from tinyres import nn
from tinyres.models.stages import Block


class Tripled(nn.ReLU):
    """A ReLU by descent alone."""

    def forward(self, x):
        return 3 * super().forward(x)


class Halved(nn.BatchNorm2d):
    """Fuses nothing, whatever it descends from."""

    def forward(self, x):
        return 0.5 * super().forward(x)


class Doubling:
    """No module, but it brings a forward."""

    def forward(self, x):
        return 2 * super().forward(x)


class Doubled(Doubling, nn.BatchNorm2d):
    """Has its forward from a class beside the module that it is."""


class Named(nn.Sequential):
    def forward(self, x):
        return 0.5 * super().forward(x)


def branch(activation=nn.ReLU, channels=3, end=()):
    return nn.Sequential(
        nn.Conv2d(3, channels, 3, padding=1, bias=False, rng=0),
        nn.BatchNorm2d(channels),
        activation(),
        nn.Conv2d(channels, channels, 3, padding=1, bias=False, rng=1),
        nn.BatchNorm2d(channels),
        *end,
    )


def residual_block():
    return Block(nn.Residual(branch()))


def projected_block():
    return Block(
        nn.Residual(
            branch(channels=4), shortcut=nn.Sequential(nn.Conv2d(3, 4, 1, bias=False, rng=2), nn.BatchNorm2d(4))
        )
    )


def plain_block():
    return Block(branch())


def ends_in_a_relu():
    return nn.Residual(branch(end=[nn.ReLU()]))


def ends_in_two_relus():
    return Block(branch(end=[nn.ReLU()]))


def ends_in_a_row():
    return Block(
        nn.Residual(nn.Sequential(branch(), nn.Sequential(nn.Conv2d(3, 3, 1, bias=False, rng=2), nn.BatchNorm2d(3))))
    )


def ends_in_a_convolution():
    return Block(nn.Residual(nn.Sequential(*list(branch().children())[:4])))


def other_activation():
    return Block(nn.Residual(branch(Tripled)))


def residual_of_a_residual():
    return Block(nn.Residual(nn.Residual(branch())))


def ends_in_another_norm():
    return Block(nn.Residual(nn.Sequential(nn.Conv2d(3, 3, 1, bias=False, rng=0), Halved(3), nn.ReLU(), Halved(3))))


def ends_in_a_mixed_norm():
    return Block(nn.Residual(nn.Sequential(nn.Conv2d(3, 3, 1, bias=False, rng=0), Doubled(3), nn.ReLU(), Doubled(3))))


def other_row():
    return Block(nn.Residual(nn.Sequential(Named(*branch().children()), nn.ReLU(), Named(*branch().children()))))
