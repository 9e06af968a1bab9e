"""Optimisers, and limits on gradients."""

from tinyres.optim.clipping import clip_grad_norm_, clip_grad_value_
from tinyres.optim.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "clip_grad_norm_", "clip_grad_value_"]
