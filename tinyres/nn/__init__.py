"""Modules: layers, blocks, losses and initial values. Names, arguments and state_dict keys follow PyTorch."""

from tinyres.nn import init
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
from tinyres.nn.followed import followed
from tinyres.nn.layers import Conv2d, ConvTranspose2d, Flatten, Identity, Linear, Reshape, Upsample
from tinyres.nn.loss import BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, L1Loss, MSELoss, NLLLoss
from tinyres.nn.module import Module, Parameter
from tinyres.nn.norm import BatchNorm1d, BatchNorm2d
from tinyres.nn.pool import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from tinyres.nn.residual import Residual
from tinyres.nn.summary import Summary

__all__ = [
    "ELU", "GELU", "AdaptiveAvgPool2d", "AvgPool2d", "BCELoss", "BCEWithLogitsLoss", "BatchNorm1d", "BatchNorm2d",
    "Conv2d", "ConvTranspose2d", "CrossEntropyLoss", "Dropout", "Flatten", "Identity", "L1Loss", "LeakyReLU", "Linear",
    "LogSigmoid", "LogSoftmax", "MSELoss", "MaxPool2d", "Module", "ModuleList", "NLLLoss", "Parameter", "ReLU",
    "Reshape", "Residual", "Sequential", "SiLU", "Sigmoid", "Softmax", "Softplus", "Summary", "Tanh", "Upsample",
    "followed", "init",
]  # fmt: skip
