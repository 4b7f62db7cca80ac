"""The bridge U-Net: shapes, sensitivity to every input, export."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from pydantic import ValidationError

from model_training.translator.unet import BridgeUNet, UNetConfig

SMALL = UNetConfig(height=32, width=16, widths=(16, 32), heads=2)


def trained_like(config: UNetConfig) -> BridgeUNet:
    """Make a network whose zero-initialised layers are changed, so that every path has signal."""
    torch.manual_seed(0)
    unet = BridgeUNet(config).eval()
    with torch.no_grad():
        for parameter in unet.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return unet


def inputs(config: UNetConfig, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x_t = torch.randn(count, config.channels, config.height, config.width, generator=generator)
    condition = torch.rand(count, 3, config.height, config.width, generator=generator) * 2 - 1
    return x_t, condition, torch.randint(0, 1000, (count,), generator=generator)


@pytest.mark.parametrize("channels", [1, 3])
def test_grad_has_the_shape_of_x_t(channels: int) -> None:
    config = SMALL.model_copy(update={"channels": channels})
    x_t, condition, t = inputs(config, 3)
    grad = BridgeUNet(config)(x_t, condition, t)
    assert grad.shape == x_t.shape
    assert grad.dtype == torch.float32


def test_the_compact_translator_stays_small() -> None:
    parameters = sum(p.numel() for p in BridgeUNet(UNetConfig()).parameters())
    assert 1_000_000 <= parameters <= 2_500_000


def test_the_output_depends_on_every_input_and_only_on_its_own_picture() -> None:
    unet = trained_like(SMALL)
    x_t, condition, t = inputs(SMALL, 2)
    single = [(x_t[i : i + 1], condition[i : i + 1], t[i : i + 1]) for i in (0, 1)]
    with torch.no_grad():
        base = unet(x_t, condition, t)
        for changed in (
            (x_t + 0.1, condition, t),
            (x_t, condition.flip(1), t),
            (x_t, condition, 999 - t),
        ):
            assert not torch.allclose(unet(*changed), base, atol=1e-4)
        alone = torch.cat([unet(*picture) for picture in single])
    assert torch.allclose(alone, base, atol=1e-5)


def test_attention_carries_a_change_at_the_bow_to_the_stern() -> None:
    unet = trained_like(SMALL)
    x_t, condition, t = inputs(SMALL, 1)
    moved = condition.clone()
    moved[..., 0, :] += 1.0
    with torch.no_grad():
        difference = (unet(x_t, moved, t) - unet(x_t, condition, t)).abs()
    assert difference[..., -1, :].max() > 1e-6


def test_every_parameter_has_a_gradient() -> None:
    unet = trained_like(SMALL)
    unet(*inputs(SMALL, 2)).square().mean().backward()
    without_gradient = [
        name for name, p in unet.named_parameters() if p.grad is None or not p.grad.any()
    ]
    assert without_gradient == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"height": 126}, "multiples of 8"),
        ({"channels": 2}, "1 or 3"),
        ({"widths": (32, 60, 128)}, "multiples of 8"),
        ({"heads": 5}, "heads"),
        ({"depth": 3}, "Extra inputs"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        UNetConfig.model_validate({**UNetConfig().model_dump(), **change})


# torch's exporter warns about its own code
@pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*:FutureWarning")
def test_onnx_runtime_agrees_for_any_number_of_pictures(tmp_path: Path) -> None:
    unet = trained_like(SMALL)
    path = tmp_path / "translator.onnx"
    pictures = torch.export.Dim.DYNAMIC
    torch.onnx.export(
        unet,
        inputs(SMALL, 2),
        path,
        input_names=["x_t", "condition", "t"],
        output_names=["grad"],
        dynamic_shapes=({0: pictures}, {0: pictures}, {0: pictures}),
        dynamo=True,
        verbose=False,
    )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [tensor.name for tensor in session.get_inputs()] == ["x_t", "condition", "t"]
    for count in (1, 5):
        x_t, condition, t = inputs(SMALL, count)
        feeds = {"x_t": x_t.numpy(), "condition": condition.numpy(), "t": t.numpy()}
        (grad,) = session.run(["grad"], feeds)
        with torch.no_grad():
            expected = unet(x_t, condition, t).numpy()
        assert np.abs(grad - expected).max() < 1e-4
