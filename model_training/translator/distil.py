"""Distil a translator of several steps into one of fewer: `crossfix-train distil CONFIG`.

This is progressive distillation (Salimans and Ho, ICLR 2022, arXiv 2202.00512, algorithm 2) for
the bridge. With eta = 0 the sampler is deterministic. From x_t the teacher takes several small
steps to x_n; the student shall reach the same x_n in one step. Every step is
`x_n = a x0_hat + b y + c x_t`, so the student's prediction that reaches x_n is

    x0_target = (x_n - b y - c x_t) / a,

and the student learns to predict that instead of the true x0. In the last step a = 1, b = c = 0:
the target is the teacher's final picture. Going from 4 steps to 1 in one run is distillation of the
whole sampler (Luhman and Luhman, arXiv 2101.02388); 4 to 2 and then 2 to 1 is progressive.

States x_t are drawn from the forward bridge, but at the first time x_t is y, because the sampler
starts there.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from model_training.training.checkpoint import Checkpoint
from model_training.training.config import ConfigError
from model_training.training.run import fit
from model_training.training.seeds import step_generator
from model_training.translator.dataset import PairedViews, draw_batch
from model_training.translator.diffusion import BridgeBatch, BridgeConfig, diffuse
from model_training.translator.schedule import coefficient_table
from model_training.translator.train import (
    DistilConfig,
    LoadedTranslator,
    TranslatorTask,
    load_translator,
    open_views,
)
from service.contract.bridge import BridgeStep, predicted_x0, reverse_step


@dataclass(frozen=True, slots=True)
class Jump:
    """One step of the student, and the teacher's steps over the same interval of time."""

    student: BridgeStep
    teacher: tuple[BridgeStep, ...]


def make_jumps(bridge: BridgeConfig, teacher_steps: int) -> tuple[Jump, ...]:
    """Return the student's `bridge.steps` steps, each with the teacher's steps that it replaces.

    Both samplers are without noise. The student's times must be among the teacher's, see
    `DistilConfig`.
    """
    coarse, fine = (
        coefficient_table(bridge.schedule(), steps, 0.0) for steps in (bridge.steps, teacher_steps)
    )
    ends = [*(step.t for step in coarse[1:]), -1]
    return tuple(
        Jump(step, tuple(fine_step for fine_step in fine if end < fine_step.t <= step.t))
        for step, end in zip(coarse, ends, strict=True)
    )


def start_states(bridge: BridgeConfig, batch: BridgeBatch) -> Tensor:
    """Return x_t float32 `[N, C, h, w]`: y at the first time, the forward bridge at all others."""
    x_t, _ = diffuse(bridge.schedule(), batch)
    first = batch.t == bridge.times - 1
    return torch.where(first[:, None, None, None], batch.y, x_t)


@torch.no_grad()
def teacher_targets(
    teacher: nn.Module, jumps: tuple[Jump, ...], batch: BridgeBatch, x_t: Tensor
) -> Tensor:
    """Return the x0 that the student shall predict, float32 `[N, C, h, w]`.

    Args:
        teacher: x_t, condition, t -> grad, in eval mode.
        jumps: see `make_jumps`.
        batch: every `t` is the time of one of the student's steps.
        x_t: float32 `[N, C, h, w]`, the state of each example at its `t`.
    """
    targets = torch.empty_like(x_t)
    for jump in jumps:
        rows = (batch.t == jump.student.t).nonzero()[:, 0]
        if not len(rows):
            continue
        y, start, condition = batch.y[rows], x_t[rows], batch.condition[rows]
        x = start
        for step in jump.teacher:
            times = torch.full_like(rows, step.t)
            x0_hat = predicted_x0(x, teacher(x, condition, times).float())
            x = reverse_step(step, x0_hat, y, x, 0.0)
        student = jump.student
        targets[rows] = (x - student.b * y - student.c * start) / student.a
    return targets


class DistilTask(TranslatorTask):
    """The training of a student that starts with the teacher's weights and takes longer steps."""

    def __init__(
        self, config: DistilConfig, training: PairedViews, validation: PairedViews, digest: str
    ) -> None:
        """Load the teacher.

        Raises:
            ConfigError: the teacher's network or bridge differs from the student's.
        """
        teacher = load_translator(config.initial)
        _require_same_bridge(config, teacher)
        super().__init__(config, training, validation, digest)
        self.teacher = teacher.module.requires_grad_(False)
        self.jumps = make_jumps(config.bridge, config.teacher_steps)

    def batch(self, step: int, rank: int) -> BridgeBatch:
        """Draw examples at the times of the student's steps; it is never called at others."""
        rng = step_generator(self.config.run.seed, step, rank)
        bridge = self.config.bridge.model_copy(update={"sampler_share": 1.0})
        return draw_batch(self.training, bridge, self.config.unet.channels, self.config.batch, rng)

    def loss(self, model: nn.Module, batch: BridgeBatch) -> dict[str, Tensor]:
        """Return the distance of the predicted x0 from the teacher's as `loss`."""
        device = next(model.parameters()).device
        batch, teacher = batch.to(device), self.teacher.to(device)
        x_t = start_states(self.config.bridge, batch)
        targets = teacher_targets(teacher, self.jumps, batch, x_t)
        predicted = predicted_x0(x_t, model(x_t, batch.condition, batch.t).float())
        l1 = self.config.bridge.loss == "l1"
        return {"loss": (functional.l1_loss if l1 else functional.mse_loss)(predicted, targets)}


def distil_translator(config: DistilConfig) -> Checkpoint:
    """Start or continue the distillation run of a config; see `model_training.training.run.fit`.

    Raises:
        ConfigError: there is no teacher, or its network or bridge differs from the student's.
        StoreError: the cache holds other data, or there are too few vessels.
        DatasetError: a source folder cannot be used.
    """
    if not config.initial.is_file():
        raise ConfigError(f"there is no teacher at {config.initial}; train it first")
    return fit(DistilTask(config, *open_views(config)), config.run, config.optimiser, config)


def _require_same_bridge(config: DistilConfig, teacher: LoadedTranslator) -> None:
    own, other = config.bridge, teacher.config.bridge
    if config.unet != teacher.config.unet:
        raise ConfigError(
            f"{config.initial}: the teacher's network differs from unet; copy its unet"
        )
    if (own.times, own.max_variance) != (other.times, other.max_variance):
        raise ConfigError(
            f"{config.initial}: the teacher's bridge has times {other.times} and max_variance "
            f"{other.max_variance}, the student's {own.times} and {own.max_variance}"
        )
