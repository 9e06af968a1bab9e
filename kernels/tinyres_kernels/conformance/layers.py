"""The convolutions of well-known nets: sizes at which a kernel is used, beside those that are drawn.

    LAYERS["ResNet-50"]     # [Layer(C=3, H=224, W=224, O=64, kernel=7, stride=2, ...), ...]

Each net is written as a formula that yields its layers one by one; `LAYERS` holds every distinct one. A transposed
convolution stands here as the convolution whose image gradient it is, so C counts what it makes.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tinyres_kernels.conformance.declare import Structure
from tinyres_kernels.geometry import conv_out

Shape = tuple[int, ...]


class Layer(NamedTuple):
    """A convolution without its batch: (N, H, W, C) images to O channels; window settings are those of both axes."""

    C: int
    H: int
    W: int
    O: int
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1

    @property
    def settings(self) -> dict[str, Any]:
        """The keywords of the kernels."""
        pairs = {name: (getattr(self, name),) * 2 for name in ("stride", "padding", "dilation")}
        return {**pairs, "groups": self.groups}

    def structure(self, N: int) -> Structure:
        """Of a case with a batch of N."""
        channels = {"groups": self.groups, "CG": self.C // self.groups, "OG": self.O // self.groups}
        return {"N": N, "hw": (self.H, self.W), "kernel": (self.kernel,) * 2} | self.settings | channels

    def shapes(self, N: int) -> tuple[Shape, Shape, Shape]:
        """Of the images, the weights, and the result."""
        window = self.kernel, self.stride, self.padding, self.dilation
        out = conv_out(self.H, *window), conv_out(self.W, *window)
        weights = self.kernel, self.kernel, self.C // self.groups, self.O
        return (N, self.H, self.W, self.C), weights, (N, *out, self.O)


def _conv(C: int, size: int, O: int, kernel: int, stride: int = 1, groups: int = 1) -> Layer:
    """A layer that keeps the image's size, divided by its stride."""
    return Layer(C, size, size, O, kernel, stride, kernel // 2, groups=groups)


def resnet(blocks: int, size: int = 32) -> Iterator[Layer]:
    """He et al. 2016 [he2016deep], section 4.2: 6 blocks + 2 layers, 16, 32 and 64 channels, weightless shortcuts."""
    yield _conv(3, size, 16, 3)
    yield from _basic(16, size, (16, 32, 64), (blocks,) * 3, projected=False)


def resnet_imagenet(counts: Shape, bottleneck: bool = False, size: int = 224) -> Iterator[Layer]:
    """He et al. 2016 [he2016deep], table 1: a stem and pool that leave a sixteenth of the pixels, then four stages."""
    yield _conv(3, size, 64, 7, 2)
    stages = _bottlenecks if bottleneck else _basic
    yield from stages(64, size // 4, (64, 128, 256, 512), counts)


def resnet_3463(size: int = 32) -> Iterator[Layer]:
    """The widespread listing for small images: blocks as in ResNet-34 behind a 3x3 stem that keeps every pixel."""
    yield _conv(3, size, 64, 3)
    yield from _basic(64, size, (64, 128, 256, 512), (3, 4, 6, 3))


def _strided(size: int, widths: Shape, counts: Shape) -> Iterator[tuple[int, int, int]]:
    """(width, size, stride) of each block: the first of every stage but the first halves the image."""
    for stage, (width, count) in enumerate(zip(widths, counts, strict=True)):
        for block in range(count):
            stride = 2 if stage and not block else 1
            yield width, size, stride
            size //= stride


def _basic(C: int, size: int, widths: Shape, counts: Shape, projected: bool = True) -> Iterator[Layer]:
    for width, before, stride in _strided(size, widths, counts):
        yield _conv(C, before, width, 3, stride)
        yield _conv(width, before // stride, width, 3)
        if projected and (C, stride) != (width, 1):
            yield _conv(C, before, width, 1, stride)
        C = width


def _bottlenecks(C: int, size: int, widths: Shape, counts: Shape) -> Iterator[Layer]:
    for width, before, stride in _strided(size, widths, counts):
        yield _conv(C, before, width, 1)
        yield _conv(width, before, width, 3, stride)
        yield _conv(width, before // stride, 4 * width, 1)
        if (C, stride) != (4 * width, 1):
            yield _conv(C, before, 4 * width, 1, stride)
        C = 4 * width


def densenet(counts: Shape, growth: int, bottleneck: bool, size: int = 32) -> Iterator[Layer]:
    """Huang et al. 2017 [huang2017densely], section 3: three dense blocks for small images."""
    C = 2 * growth if bottleneck else 16
    yield _conv(3, size, C, 3)
    yield from _dense(C, size, counts, growth, bottleneck)


def densenet_imagenet(counts: Shape, growth: int, size: int = 224) -> Iterator[Layer]:
    """Huang et al. 2017 [huang2017densely], table 1."""
    yield _conv(3, size, 2 * growth, 7, 2)
    yield from _dense(2 * growth, size // 4, counts, growth, True)


def _dense(C: int, size: int, counts: Shape, growth: int, bottleneck: bool) -> Iterator[Layer]:
    for stage, count in enumerate(counts):
        if stage:
            kept = C // 2 if bottleneck else C
            yield _conv(C, size, kept, 1)
            C, size = kept, size // 2
        for _ in range(count):
            if bottleneck:
                yield _conv(C, size, 4 * growth, 1)
            yield _conv(4 * growth if bottleneck else C, size, growth, 3)
            C += growth


def dcgan_discriminator(size: int, width: int) -> Iterator[Layer]:
    """Radford et al. 2016 [radford2016unsupervised]: 4x4 kernels halve the image down to 4x4, the channels double."""
    C = 3
    while size > 4:
        yield Layer(C, size, size, width, 4, 2, 1)
        C, width, size = width, 2 * width, size // 2


def dcgan_generator(size: int, width: int) -> Iterator[Layer]:
    """The discriminator's convolutions in reverse, transposed: the last makes the image's 3 channels."""
    yield from reversed(list(dcgan_discriminator(size, width)))


def mobilenet(size: int = 224) -> Iterator[Layer]:
    """Howard et al. 2017 [howard2017mobilenets], table 1: each 3x3 layer falls into a depthwise and a 1x1 one."""
    yield _conv(3, size, 32, 3, 2)
    C, size = 32, size // 2
    strided = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for O, stride in strided:
        yield _conv(C, size, C, 3, stride, groups=C)
        size //= stride
        yield _conv(C, size, O, 1)
        C = O


NETS: dict[str, Callable[[], Iterator[Layer]]] = {
    "ResNet-20": lambda: resnet(3),
    "ResNet-110": lambda: resnet(18),
    "ResNet-34": lambda: resnet_imagenet((3, 4, 6, 3)),
    "ResNet-50": lambda: resnet_imagenet((3, 4, 6, 3), bottleneck=True),
    "3-4-6-3 net, 32x32": resnet_3463,
    "DenseNet-40": lambda: densenet((12,) * 3, 12, bottleneck=False),
    "DenseNet-40-BC": lambda: densenet((6,) * 3, 12, bottleneck=True),
    "DenseNet-121": lambda: densenet_imagenet((6, 12, 24, 16), 32),
    "DCGAN generator, 32x32": lambda: dcgan_generator(32, 64),
    "DCGAN discriminator, 32x32": lambda: dcgan_discriminator(32, 64),
    "DCGAN generator, 64x64": lambda: dcgan_generator(64, 128),
    "DCGAN discriminator, 64x64": lambda: dcgan_discriminator(64, 128),
    "MobileNet": mobilenet,
}

LAYERS: dict[str, list[Layer]] = {name: list(dict.fromkeys(net())) for name, net in NETS.items()}
