"""Modules: layers, blocks, losses and initialisers. Names, arguments and state_dict keys follow PyTorch."""

from tinyres.nn import init, utils
from tinyres.nn.activation import (
    ELU,
    GELU,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)  # fmt: skip
from tinyres.nn.container import ModuleList, Sequential
from tinyres.nn.dropout import Dropout
from tinyres.nn.embedding import Embedding
from tinyres.nn.fused import fused_add_relu
from tinyres.nn.highway import Highway
from tinyres.nn.layer_norm import LayerNorm
from tinyres.nn.layers import Conv2d, ConvTranspose2d, Flatten, Identity, Linear, Reshape, Upsample
from tinyres.nn.loss import BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, L1Loss, MSELoss, NLLLoss
from tinyres.nn.module import Module, Parameter
from tinyres.nn.norm import BatchNorm1d, BatchNorm2d
from tinyres.nn.pool import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from tinyres.nn.recurrent import LSTMCell, RNNCell
from tinyres.nn.residual import Residual
from tinyres.nn.scalar import Scale, Shift
from tinyres.nn.spectral_norm import spectral_norm
from tinyres.nn.squeeze_excite import SqueezeExcite
from tinyres.nn.stochastic_depth import StochasticDepth
from tinyres.nn.table import Summary, summary

__all__ = [
    "ELU", "GELU", "AdaptiveAvgPool2d", "AvgPool2d", "BCELoss", "BCEWithLogitsLoss", "BatchNorm1d", "BatchNorm2d",
    "Conv2d", "ConvTranspose2d", "CrossEntropyLoss", "Dropout", "Embedding", "Flatten", "Highway", "Identity", "L1Loss",
    "LSTMCell", "LayerNorm", "LeakyReLU", "Linear", "LogSigmoid", "LogSoftmax", "MSELoss", "MaxPool2d", "Module",
    "ModuleList", "NLLLoss", "Parameter", "RNNCell", "ReLU", "Reshape", "Residual", "Scale", "Sequential", "Shift",
    "SiLU", "Sigmoid", "Softmax", "Softplus", "SqueezeExcite", "StochasticDepth", "Summary", "Tanh", "Upsample",
    "fused_add_relu", "init", "spectral_norm", "summary", "utils",
]  # fmt: skip
