"""The bridge in torch: its formula, its loss, and sampling with the contract's steps."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from model_training.translator.dataset import PairedViews, draw_batch
from model_training.translator.diffusion import (
    BridgeBatch,
    BridgeConfig,
    bridge_loss,
    diffuse,
    draw_times,
    sample,
    sample_many,
)
from model_training.translator.schedule import coefficient_table, step_times
from model_training.translator.unet import BridgeUNet, UNetConfig

SMALL = UNetConfig(height=32, width=16, widths=(16, 32), heads=2)


class PerfectUNet(BridgeUNet):
    """Network that knows the SAR pictures and predicts grad = x_t - x0 exactly."""

    def __init__(self, x0: Tensor) -> None:
        super().__init__(SMALL)
        self.x0 = x0

    def forward(self, x_t: Tensor, condition: Tensor, t: Tensor) -> Tensor:
        return x_t - self.x0.repeat_interleave(x_t.shape[0] // self.x0.shape[0], dim=0)


def batch(count: int = 6, seed: int = 0) -> BridgeBatch:
    generator = torch.Generator().manual_seed(seed)
    condition = torch.rand(count, 3, 32, 16, generator=generator) * 2 - 1
    return BridgeBatch(
        condition=condition,
        y=condition.mean(1, keepdim=True),
        x0=torch.rand(count, 1, 32, 16, generator=generator) * 2 - 1,
        t=torch.randint(0, 1000, (count,), generator=generator),
        noise=torch.randn(count, 1, 32, 16, generator=generator),
    )


def test_the_forward_bridge_equals_the_published_formula() -> None:
    drawn = batch()
    x_t, grad = diffuse(BridgeConfig().schedule(), drawn)
    for i, t in enumerate(drawn.t.tolist()):
        m = 0.001 + 0.998 * t / 999
        sigma = (2 * (m - m * m)) ** 0.5
        expected = (1 - m) * drawn.x0[i] + m * drawn.y[i] + sigma * drawn.noise[i]
        assert torch.allclose(x_t[i], expected, atol=1e-5)
    assert torch.allclose(x_t - grad, drawn.x0, atol=1e-6)


def test_the_ends_of_the_bridge_are_the_two_pictures() -> None:
    drawn = batch(2)
    ends = BridgeBatch(drawn.condition, drawn.y, drawn.x0, torch.tensor([0, 999]), 0 * drawn.noise)
    x_t, _ = diffuse(BridgeConfig().schedule(), ends)
    assert torch.allclose(x_t[0], drawn.x0[0], atol=2.1e-3)
    assert torch.allclose(x_t[1], drawn.y[1], atol=2.1e-3)


@pytest.mark.parametrize("kind", ["l1", "l2"])
def test_the_loss_is_the_mean_distance_from_the_grad(kind: str) -> None:
    config = BridgeConfig.model_validate({"loss": kind})
    drawn = batch()
    assert float(bridge_loss(PerfectUNet(drawn.x0), config, drawn)) == pytest.approx(0, abs=1e-6)
    _, grad = diffuse(config.schedule(), drawn)
    untrained = bridge_loss(BridgeUNet(SMALL), config, drawn).item()  # predicts zero
    expected = grad.abs().mean() if kind == "l1" else grad.square().mean()
    assert untrained == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(("steps", "eta"), [(1, 1.0), (4, 0.0), (4, 1.0)])
def test_sampling_with_a_perfect_network_gives_the_sar_pictures(steps: int, eta: float) -> None:
    drawn = batch(3)
    table = coefficient_table(BridgeConfig().schedule(), steps, eta)
    pictures = sample_many(PerfectUNet(drawn.x0), drawn.condition, table, seed=1, samples=5)
    assert pictures.shape == (3, 5, 32, 16)
    assert pictures.dtype == np.uint8
    expected = np.rint((drawn.x0[:, 0].numpy() + 1) * 127.5)
    assert np.abs(pictures - expected[:, None]).max() <= 1


def test_samples_depend_on_the_seed_and_differ_from_each_other() -> None:
    torch.manual_seed(0)
    unet = BridgeUNet(SMALL).eval()
    with torch.no_grad():
        unet.head.weight.normal_(0, 0.1)
    condition = batch(1).condition[0]
    table = BridgeConfig(steps=3).table()
    first = sample(unet, condition, table, seed=7, samples=4)
    assert first.shape == (4, 32, 16)
    assert np.array_equal(first, sample(unet, condition, table, seed=7, samples=4))
    assert not np.array_equal(first, sample(unet, condition, table, seed=8, samples=4))
    assert not np.array_equal(first[0], first[1])


def test_the_configured_share_of_training_times_is_at_the_samplers_times() -> None:
    rng = np.random.default_rng(0)
    sampler_times = step_times(1000, 4)
    only = draw_times(BridgeConfig(steps=4, sampler_share=1.0), 400, rng)
    assert set(only) == set(sampler_times)
    half = draw_times(BridgeConfig(steps=4, sampler_share=0.5), 4000, rng)
    assert np.isin(half, sampler_times).mean() == pytest.approx(0.5, abs=0.04)
    uniform = draw_times(BridgeConfig(sampler_share=0.0), 4000, rng)
    assert uniform.mean() == pytest.approx(499.5, abs=20)
    assert uniform.min() >= 0
    assert uniform.max() <= 999


def test_more_steps_than_the_bridge_has_times_are_refused() -> None:
    with pytest.raises(ValidationError, match="steps"):
        BridgeConfig(times=10, steps=10)


def test_a_network_learns_the_bridge(views: PairedViews) -> None:
    """After training, samples are bright at the vessel's bar and dark elsewhere."""
    torch.manual_seed(0)
    unet, config = BridgeUNet(SMALL), BridgeConfig(steps=2)
    optimiser = torch.optim.AdamW(unet.parameters(), lr=3e-3)
    rng = np.random.default_rng(0)
    for _ in range(80):
        drawn = draw_batch(views, config, 1, 16, rng)
        loss = bridge_loss(unet, config, drawn)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    drawn = draw_batch(views, config, 1, 12, rng)
    pictures = sample_many(unet.eval(), drawn.condition, config.table(), seed=0, samples=1)[:, 0]
    bar = drawn.x0[:, 0].numpy() > 0
    assert pictures[bar].mean() > 150
    assert pictures[~bar].mean() < 60
