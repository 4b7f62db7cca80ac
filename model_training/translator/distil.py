"""Teach a few-step translator what a teacher does in more steps: `crossfix-train distil CONFIG`.

Progressive distillation (Salimans and Ho, ICLR 2022, arXiv 2202.00512, algorithm 2), carried over
to the bridge. With eta = 0 the sampler is deterministic. From x_t the teacher walks its own small
steps down to a later time n; the student shall arrive there in one step. Every step is
`x_n = a x0_hat + b y + c x_t`, so the x0_hat that takes it there is

    x0_target = (x_n - b y - c x_t) / a,

and the student learns to predict that instead of the true x0. At the last step a = 1, b = c = 0:
the target is where the teacher's walk ends. From 4 steps to 1 in one run is the distillation of a
whole walk (Luhman and Luhman, arXiv 2101.02388); 4 to 2 and then 2 to 1 is the progressive way.

States are drawn from the forward bridge, but at the first time they are y itself: that is where
the sampler starts.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from model_training.encoder.stores import open_stores
from model_training.training.checkpoint import Checkpoint
from model_training.training.config import ConfigError
from model_training.training.run import fit
from model_training.training.seeds import step_generator
from model_training.translator.dataset import PairedViews, draw_batch, views_of_store
from model_training.translator.diffusion import BridgeBatch, BridgeConfig, diffuse
from model_training.translator.train import (
    SPEC,
    DistilConfig,
    LoadedTranslator,
    TranslatorTask,
    load_translator,
)
from service.contract.bridge import BridgeStep, coefficient_table, predicted_x0, reverse_step


@dataclass(frozen=True, slots=True)
class Jump:
    """One step of the student, and the teacher's steps over the same stretch of time."""

    student: BridgeStep
    teacher: tuple[BridgeStep, ...]


def jumps(bridge: BridgeConfig, teacher_steps: int) -> tuple[Jump, ...]:
    """The student's walk of `bridge.steps` steps, each with the teacher's part; no noise in either.

    The student's times have to be among the teacher's, see `DistilConfig`.
    """
    coarse, fine = (
        coefficient_table(bridge.schedule(), steps, eta=0.0)
        for steps in (bridge.steps, teacher_steps)
    )
    ends = [*(step.t for step in coarse[1:]), -1]
    return tuple(
        Jump(step, tuple(small for small in fine if end < small.t <= step.t))
        for step, end in zip(coarse, ends, strict=True)
    )


def start_states(bridge: BridgeConfig, batch: BridgeBatch) -> Tensor:
    """x_t float32 `[N, C, h, w]`: y at the first time, the forward bridge at all others."""
    x_t, _ = diffuse(bridge.schedule(), batch)
    first = batch.t == bridge.times - 1
    return torch.where(first[:, None, None, None], batch.y, x_t)


@torch.no_grad()
def teacher_targets(
    teacher: nn.Module, walk: tuple[Jump, ...], batch: BridgeBatch, x_t: Tensor
) -> Tensor:
    """The x0 that the student shall predict, float32 `[N, C, h, w]`; see the module's text.

    Args:
        teacher: x_t, condition, t -> grad, in eval mode.
        walk: see `jumps`.
        batch: every `t` is the time of one of the student's steps.
        x_t: where each example stands at its `t`.
    """
    targets = torch.empty_like(x_t)
    for jump in walk:
        rows = (batch.t == jump.student.t).nonzero()[:, 0]
        if not len(rows):
            continue
        y, start, condition = batch.y[rows], x_t[rows], batch.condition[rows]
        x = start
        for step in jump.teacher:
            times = torch.full_like(rows, step.t)
            x0_hat = predicted_x0(x, teacher(x, condition, times).float())
            x = reverse_step(step, x0_hat, y, x, 0.0)
        own = jump.student
        targets[rows] = (x - own.b * y - own.c * start) / own.a
    return targets


class DistilTask(TranslatorTask):
    """A student that starts with the teacher's weights and learns its longer steps."""

    def __init__(
        self, config: DistilConfig, training: PairedViews, validation: PairedViews, digest: str
    ) -> None:
        """
        Raises:
            ConfigError: the teacher's network or bridge is another one.
        """
        teacher = load_translator(config.initial)
        _require_same_bridge(config, teacher)
        super().__init__(config, training, validation, digest)
        self.teacher = teacher.module.requires_grad_(False)
        self.walk = jumps(config.bridge, config.teacher_steps)

    def batch(self, step: int, rank: int) -> BridgeBatch:
        """Examples at the times of the student's steps only: it is called nowhere else."""
        rng = step_generator(self.config.run.seed, step, rank)
        bridge = self.config.bridge.model_copy(update={"sampler_share": 1.0})
        return draw_batch(self.training, bridge, self.config.unet.channels, self.config.batch, rng)

    def loss(self, model: nn.Module, batch: BridgeBatch, step: int) -> dict[str, Tensor]:
        device = next(model.parameters()).device
        batch, teacher = batch.to(device), self.teacher.to(device)
        x_t = start_states(self.config.bridge, batch)
        targets = teacher_targets(teacher, self.walk, batch, x_t)
        predicted = predicted_x0(x_t, model(x_t, batch.condition, batch.t).float())
        l1 = self.config.bridge.loss == "l1"
        return {"loss": (functional.l1_loss if l1 else functional.mse_loss)(predicted, targets)}


def distil_translator(config: DistilConfig) -> Checkpoint:
    """Distil, or continue, the run of a config; see `model_training.training.run.fit`.

    Raises:
        ConfigError: there is no teacher, or it does not fit.
        StoreError: the cache holds something else, or there are too few vessels.
        DatasetError: a source folder cannot be used.
    """
    if not config.initial.is_file():
        raise ConfigError(f"there is no teacher at {config.initial}; train it first")
    stores = open_stores(config.data, SPEC)
    size = (config.unet.height, config.unet.width)
    training, validation = (views_of_store(s, *size) for s in (stores.train, stores.validation))
    task = DistilTask(config, training, validation, stores.digest)
    return fit(task, config.run, config.optimiser, config)


def _require_same_bridge(config: DistilConfig, teacher: LoadedTranslator) -> None:
    own, taught = config.bridge, teacher.config.bridge
    if config.unet != teacher.config.unet:
        raise ConfigError(f"{config.initial}: the teacher's network is another one; copy its unet")
    if (own.times, own.max_variance) != (taught.times, taught.max_variance):
        raise ConfigError(
            f"{config.initial}: the teacher's bridge has times {taught.times} and max_variance "
            f"{taught.max_variance}, the student's {own.times} and {own.max_variance}"
        )
