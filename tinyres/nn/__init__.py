"""Modules: layers, blocks, losses and initialisers. Names, arguments and state_dict keys follow PyTorch.

The same as functions: `import tinyres.nn.functional as F`.
"""

from tinyres.nn import functional, init, utils
from tinyres.nn.activation import (
    CELU,
    ELU,
    GELU,
    GLU,
    SELU,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softmin,
    Softplus,
    Softsign,
    SwiGLU,
    Tanh,
    Tanhshrink,
)
from tinyres.nn.attention import MultiheadAttention
from tinyres.nn.container import ModuleList, Sequential
from tinyres.nn.convolution import Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d
from tinyres.nn.dropout import Dropout, Dropout1d, Dropout2d
from tinyres.nn.embedding import Embedding
from tinyres.nn.fused import fused_add_relu
from tinyres.nn.highway import Highway
from tinyres.nn.holders import ModuleDict, ParameterDict, ParameterList
from tinyres.nn.hyper_connections import HyperConnections
from tinyres.nn.layer_norm import LayerNorm, RMSNorm
from tinyres.nn.layers import (
    Flatten,
    Identity,
    Linear,
    PixelShuffle,
    Reshape,
    Unflatten,
    Upsample,
    UpsamplingBilinear2d,
    UpsamplingNearest2d,
)
from tinyres.nn.loss import (
    BCELoss,
    BCEWithLogitsLoss,
    CosineEmbeddingLoss,
    CrossEntropyLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from tinyres.nn.module import Module, Parameter
from tinyres.nn.norm import BatchNorm1d, BatchNorm2d, GroupNorm, InstanceNorm1d, InstanceNorm2d
from tinyres.nn.padding import (
    CircularPad1d,
    CircularPad2d,
    ConstantPad1d,
    ConstantPad2d,
    ReflectionPad1d,
    ReflectionPad2d,
    ReplicationPad1d,
    ReplicationPad2d,
    ZeroPad1d,
    ZeroPad2d,
)
from tinyres.nn.piecewise import Hardshrink, Hardsigmoid, Hardswish, Hardtanh, PReLU, ReLU6, Softshrink, Threshold
from tinyres.nn.pool import AdaptiveAvgPool1d, AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d
from tinyres.nn.recurrent import GRUCell, LSTMCell, RNNCell
from tinyres.nn.residual import Residual
from tinyres.nn.rotary import Rotary
from tinyres.nn.scalar import Scale, Shift
from tinyres.nn.sequence import GRU, LSTM, RNN
from tinyres.nn.spectral_norm import spectral_norm
from tinyres.nn.squeeze_excite import SqueezeExcite
from tinyres.nn.stochastic_depth import StochasticDepth
from tinyres.nn.table import Summary, summary
from tinyres.nn.transformer import TransformerEncoder, TransformerEncoderLayer
from tinyres.refusals.absent import told

__all__ = [
    "CELU", "ELU", "GELU", "GLU", "GRU", "LSTM", "RNN", "SELU", "AdaptiveAvgPool1d", "AdaptiveAvgPool2d",
    "AvgPool1d", "AvgPool2d", "BCELoss", "BCEWithLogitsLoss", "BatchNorm1d", "BatchNorm2d", "CircularPad1d",
    "CircularPad2d", "ConstantPad1d", "ConstantPad2d", "Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d",
    "CosineEmbeddingLoss", "CrossEntropyLoss", "Dropout", "Dropout1d", "Dropout2d", "Embedding", "Flatten",
    "GRUCell", "GroupNorm", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "Highway", "HuberLoss",
    "HyperConnections", "Identity", "InstanceNorm1d", "InstanceNorm2d", "KLDivLoss", "L1Loss", "LSTMCell",
    "LayerNorm", "LeakyReLU", "Linear", "LogSigmoid", "LogSoftmax", "MSELoss", "MaxPool1d", "MaxPool2d", "Mish",
    "Module", "ModuleDict", "ModuleList", "MultiheadAttention", "NLLLoss", "PReLU", "Parameter", "ParameterDict",
    "ParameterList", "PixelShuffle", "RMSNorm", "RNNCell", "ReLU", "ReLU6", "ReflectionPad1d", "ReflectionPad2d",
    "ReplicationPad1d", "ReplicationPad2d", "Reshape", "Residual", "Rotary", "Scale", "Sequential", "Shift", "SiLU",
    "Sigmoid", "SmoothL1Loss", "Softmax", "Softmin", "Softplus", "Softshrink", "Softsign", "SqueezeExcite",
    "StochasticDepth", "Summary", "SwiGLU", "Tanh", "Tanhshrink", "Threshold", "TransformerEncoder",
    "TransformerEncoderLayer", "Unflatten", "Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d", "ZeroPad1d",
    "ZeroPad2d", "functional", "fused_add_relu", "init", "spectral_norm", "summary", "utils",
]  # fmt: skip


__getattr__ = told(__name__, functional)
