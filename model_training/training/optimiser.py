"""Optimisers and the learning rate of each step."""

import math
from typing import Any, Literal

import torch
from pydantic import Field
from torch import nn

from model_training.training.config import TypedConfig


class OptimiserConfig(TypedConfig):
    """Optimiser and learning-rate schedule.

    `cosine` falls to `final_fraction` of `lr` over the run; `trapezoid` stays at `lr` and falls
    linearly over the last `cooldown` share of the steps; `constant` stays. `epoch_cosine` changes
    once in `epoch_steps`, as the released TransOSS and MOS do: the cosine runs from the start, not
    from the end of the warm-up, and the warm-up rises from 1 % of `lr`. With `decay_vectors`,
    weight decay also acts on biases and norms. `stem_lr_factor` scales the rate of stems, for
    stems that start from pretrained weights. Gradients longer than `clip_norm` are scaled to it;
    null turns that off.
    """

    kind: Literal["adamw", "sgd"] = "adamw"
    lr: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.02, ge=0)
    decay_vectors: bool = False
    momentum: float = Field(0.9, ge=0, lt=1)
    bias_lr_factor: float = Field(1.0, gt=0)
    stem_lr_factor: float = Field(1.0, gt=0, le=1)
    warmup_steps: int = Field(200, ge=0)
    schedule: Literal["cosine", "trapezoid", "constant", "epoch_cosine"] = "cosine"
    epoch_steps: int = Field(1, ge=1)
    final_fraction: float = Field(0.02, ge=0, le=1)
    cooldown: float = Field(0.3, gt=0, le=1)
    clip_norm: float | None = Field(1.0, gt=0)


def learning_rate(config: OptimiserConfig, step: int, steps: int) -> float:
    """Return the learning rate of a step, 0 to `steps` - 1."""
    if config.schedule == "epoch_cosine":
        return _epoch_learning_rate(config, step, steps)
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
    if config.schedule == "constant":
        share = 1.0
    elif config.schedule == "cosine":
        share = 0.5 * (1 + math.cos(math.pi * progress))
    else:
        share = min(1.0, (1 - progress) / config.cooldown)
    return config.lr * (config.final_fraction + (1 - config.final_fraction) * share)


def _epoch_learning_rate(config: OptimiserConfig, step: int, steps: int) -> float:
    """Return the rate of a step's epoch; the first is epoch 1, the last ends at the floor.

    Source: timm's `CosineLRScheduler` as the released code calls it, with `warmup_lr_init` of 1 %.
    """
    epoch = 1 + step // config.epoch_steps
    warmup = config.warmup_steps / config.epoch_steps
    if epoch < warmup:
        return config.lr * (0.01 + 0.99 * epoch / warmup)
    share = 0.5 * (1 + math.cos(math.pi * min(1.0, epoch * config.epoch_steps / steps)))
    return config.lr * (config.final_fraction + (1 - config.final_fraction) * share)


def build_optimiser(model: nn.Module, config: OptimiserConfig) -> torch.optim.Optimizer:
    """Make AdamW or SGD; biases, norms and other vectors are decayed only with `decay_vectors`.

    Parameters under a module named `stem` have groups of their own where their rate differs.
    """
    apart = config.stem_lr_factor != 1.0
    groups: list[dict[str, Any]] = []
    for in_stem, factor in ((False, 1.0), (True, config.stem_lr_factor))[: 1 + apart]:
        parameters = [
            parameter
            for name, parameter in model.named_parameters()
            if parameter.requires_grad and (not apart or ("stem" in name.split(".")) == in_stem)
        ]
        groups += _by_decay(parameters, config, factor)
    if config.kind == "adamw":
        return torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.98))
    return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum)


def _by_decay(
    parameters: list[nn.Parameter], config: OptimiserConfig, factor: float
) -> list[dict[str, Any]]:
    """A group of matrices and one of vectors, whose rates are `factor` times the run's."""
    return [
        {
            "params": [parameter for parameter in parameters if parameter.ndim > 1],
            "weight_decay": config.weight_decay,
            "lr_factor": factor,
        },
        {
            "params": [parameter for parameter in parameters if parameter.ndim <= 1],
            "weight_decay": config.weight_decay if config.decay_vectors else 0.0,
            "lr_factor": factor * config.bias_lr_factor,
        },
    ]
