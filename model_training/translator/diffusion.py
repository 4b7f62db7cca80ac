"""Train and sample the Brownian bridge in torch, with the steps of `service.contract.bridge`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from model_training.training.config import TypedConfig
from model_training.translator.schedule import BridgeSchedule, coefficient_table, step_times
from model_training.translator.unet import BridgeUNet
from service.contract.bridge import BridgeStep, reverse_bridge
from service.contract.translation import bridge_start, pseudo_sar_picture


class BridgeConfig(TypedConfig):
    """The bridge, its loss, and the sampler that the network is trained for.

    Published (BBDM, MOS): 1000 times, L1, `sampler_share` 0, 200 steps with eta 1. A few-step
    sampler calls the network at `steps` times only; the share `sampler_share` of the training
    examples is at exactly those times, the others are uniform over all times. `eta` below 1
    deviates from the released sampler, see `model_training.translator.schedule.coefficient_table`.
    """

    times: int = Field(1000, ge=2)
    max_variance: float = Field(1.0, gt=0)
    loss: Literal["l1", "l2"] = "l1"
    steps: int = Field(4, ge=1)
    eta: float = Field(1.0, ge=0, le=1)
    sampler_share: float = Field(0.5, ge=0, le=1)

    @model_validator(mode="after")
    def _require_possible_steps(self) -> "BridgeConfig":
        self.step_times()  # raises ValueError if the bridge has no such number of steps
        return self

    def step_times(self, steps: int | None = None) -> list[int]:
        """Return the times at which the sampler, or one with other `steps`, calls the network."""
        return step_times(self.times, steps or self.steps)

    def schedule(self) -> BridgeSchedule:
        """Return m and variance of every time."""
        return BridgeSchedule(self.times, self.max_variance)

    def table(self, steps: int | None = None) -> list[BridgeStep]:
        """Return the coefficients of the configured sampler, or of one with other `steps`."""
        return coefficient_table(self.schedule(), steps or self.steps, self.eta)


@dataclass(frozen=True, slots=True)
class BridgeBatch:
    """N optical-SAR pairs, each at its own time of the bridge.

    Attributes:
        condition: float32 `[N, 3, h, w]`, the optical pictures, -1..1.
        y: float32 `[N, C, h, w]`, the start of the bridge, made from the optical pictures.
        x0: float32 `[N, C, h, w]`, the SAR pictures, -1..1.
        t: int64 `[N]`.
        noise: float32 `[N, C, h, w]`, standard normal.
    """

    condition: Tensor
    y: Tensor
    x0: Tensor
    t: Tensor
    noise: Tensor

    def to(self, device: torch.device) -> "BridgeBatch":
        """Return the batch on a device."""
        return BridgeBatch(
            self.condition.to(device),
            self.y.to(device),
            self.x0.to(device),
            self.t.to(device),
            self.noise.to(device),
        )


def draw_times(config: BridgeConfig, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw training times int64 `[count]`: the share `sampler_share` at the sampler's times."""
    uniform = rng.integers(0, config.times, count)
    of_sampler = rng.choice(config.step_times(), count)
    return np.asarray(np.where(rng.random(count) < config.sampler_share, of_sampler, uniform))


def diffuse(schedule: BridgeSchedule, batch: BridgeBatch) -> tuple[Tensor, Tensor]:
    """Return x_t and the grad that the network shall predict, `m_t (y - x0) + sigma_t eps`.

    Source: BBDM (Li et al., CVPR 2023, arXiv 2205.07680), forward process and training target.

    Returns:
        Two float32 `[N, C, h, w]`; `x_t - grad` is x0.
    """
    device = batch.x0.device
    t = batch.t.to("cpu").numpy()
    m = torch.tensor(schedule.m()[t], dtype=torch.float32, device=device)
    sigma = torch.tensor(schedule.variance()[t] ** 0.5, dtype=torch.float32, device=device)
    # [N] -> [N, 1, 1, 1], to broadcast over channels and pixels
    grad = m[:, None, None, None] * (batch.y - batch.x0) + sigma[:, None, None, None] * batch.noise
    return batch.x0 + grad, grad


def bridge_loss(unet: nn.Module, config: BridgeConfig, batch: BridgeBatch) -> Tensor:
    """Return the mean distance of predicted and true grad: a scalar, L1 (published) or L2."""
    x_t, grad = diffuse(config.schedule(), batch)
    predicted = unet(x_t, batch.condition, batch.t)
    distance = functional.l1_loss if config.loss == "l1" else functional.mse_loss
    return distance(predicted.float(), grad)


@torch.inference_mode()
def sample_many(
    unet: BridgeUNet, conditions: Tensor, table: Sequence[BridgeStep], seed: int, samples: int
) -> NDArray[np.uint8]:
    """Sample K pseudo-SAR pictures for each of N optical pictures, all in one batch.

    Args:
        unet: in eval mode.
        conditions: float32 `[N, 3, h, w]`, optical, -1..1.
        table: see `model_training.translator.schedule.coefficient_table`.
        samples: K.

    Returns:
        uint8 `[N, K, h, w]`.
    """
    device = conditions.device
    repeated = conditions.repeat_interleave(samples, dim=0)  # [N, 3, h, w] -> [N K, 3, h, w]
    y = torch.from_numpy(bridge_start(repeated.cpu().numpy(), unet.config.channels)).to(device)
    rng = np.random.default_rng(seed)

    def predict_grad(x_t: Tensor, t: int) -> Tensor:
        times = torch.full((x_t.shape[0],), t, dtype=torch.int64, device=device)
        grad: Tensor = unet(x_t, repeated, times)
        return grad

    def draw_noise() -> Tensor:
        return torch.from_numpy(rng.standard_normal(y.shape, np.float32)).to(device)

    x0 = reverse_bridge(predict_grad, y, table, draw_noise)
    pictures = pseudo_sar_picture(x0.float().cpu().numpy())
    # [N K, h, w] -> [N, K, h, w]
    return pictures.reshape(len(conditions), samples, *pictures.shape[-2:])


def sample(
    unet: BridgeUNet, condition: Tensor, table: Sequence[BridgeStep], seed: int, samples: int
) -> NDArray[np.uint8]:
    """Sample K pseudo-SAR pictures uint8 `[K, h, w]` of one optical picture float32 `[3, h, w]`."""
    return np.asarray(sample_many(unet, condition[None], table, seed, samples)[0])
