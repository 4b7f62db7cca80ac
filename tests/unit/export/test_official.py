"""A bundle of a published checkpoint has the embeddings of the published method.

The implementation of the method below shares no code with the product: plain numpy in float64.
"""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.special import erf
from torch import Tensor
from typer.testing import CliRunner

from export.build_bundle import BundlePlan, build_bundle
from export.checkpoints import official_encoder_part, official_training_spec
from export.cli import app
from export.official import CheckpointError, load_official
from export.sample_chips import SampleChip
from model_training.encoder.published import rename_published
from service.contract.bundle import open_bundle
from service.contract.chip import Modality
from service.contract.decoding.decode import decode_chip
from service.inference.embedder import Embedder, load_embedder
from tests.support.inputs.genuine import genuine_chips

WIDTH, DEPTH, HEADS, PATCHES = 128, 2, 2, 128
Array = NDArray[np.float64]


def published_checkpoint(*, size_token: bool = True) -> dict[str, Tensor]:
    """Draw random weights with the keys of the authors' `build_transformer` and `TransOSS`."""
    generator = torch.Generator().manual_seed(4)

    def draw(*shape: int, scale: float = 0.08) -> Tensor:
        return torch.randn(shape, generator=generator) * scale

    state = {
        "base.cls_token": draw(1, 1, WIDTH, scale=1.0),
        "base.pos_embed": draw(1, 1 + PATCHES, WIDTH, scale=0.5),
        "base.mie_embed": draw(2, 1, WIDTH, scale=0.5),
        "base.norm.weight": 1 + draw(WIDTH),
        "base.norm.bias": draw(WIDTH),
        "base.fc.weight": draw(1000, WIDTH),
        "base.fc.bias": draw(1000),
        "classifier.weight": draw(361, WIDTH),
        "bottleneck.weight": draw(WIDTH),
        "bottleneck.bias": draw(WIDTH),
        "bottleneck.running_mean": draw(WIDTH),
        "bottleneck.running_var": 1 + draw(WIDTH) ** 2,
        "bottleneck.num_batches_tracked": torch.tensor(7),
        "logit_scale": torch.tensor(2.6592),
    }
    for embedding in ("patch_embed", "patch_embed_SAR"):
        state[f"base.{embedding}.proj.weight"] = draw(WIDTH, 3, 16, 16, scale=0.03)
        state[f"base.{embedding}.proj.bias"] = draw(WIDTH)
    if size_token:
        state["base.wh_embed.linear_layer.weight"] = draw(WIDTH, 3)
        state["base.wh_embed.linear_layer.bias"] = draw(WIDTH)
    for block in range(DEPTH):
        for layer, rows, columns in (
            ("attn.qkv", 3 * WIDTH, WIDTH),
            ("attn.proj", WIDTH, WIDTH),
            ("mlp.fc1", 4 * WIDTH, WIDTH),
            ("mlp.fc2", WIDTH, 4 * WIDTH),
        ):
            state[f"base.blocks.{block}.{layer}.weight"] = draw(rows, columns)
            state[f"base.blocks.{block}.{layer}.bias"] = draw(rows)
        for norm in ("norm1", "norm2"):
            state[f"base.blocks.{block}.{norm}.weight"] = 1 + draw(WIDTH)
            state[f"base.blocks.{block}.{norm}.bias"] = draw(WIDTH)
    return state


def saved(state: dict[str, Tensor], folder: Path) -> Path:
    path = folder / "mos.pth"
    torch.save(state, path)
    return path


class PublishedMethod:
    """The published method for one upright chip, from denoising to the unit embedding."""

    def __init__(self, state: dict[str, Tensor], denoise: str) -> None:
        self.denoise = denoise
        self.w = {name: value.numpy().astype(np.float64) for name, value in state.items()}

    def embed(self, path: Path) -> Array:
        picture, width_m, length_m = self.read(path)
        sar = path.name.endswith("SAR.tif")
        resized = np.asarray(Image.fromarray(picture).resize((128, 256), Image.Resampling.BILINEAR))
        mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
        pixels = (resized / 255.0 - mean) / std
        size = np.array(
            [(width_m / 93 - 0.434) / 0.031, (length_m / 427 - 0.461) / 0.031, length_m / width_m]
        )
        embedding = self.transoss(pixels, 1 if sar else 0, size)
        unit: Array = embedding / math.sqrt((embedding**2).sum())
        return unit

    def read(self, path: Path) -> tuple[NDArray[np.uint8], float, float]:
        """Read an RGB picture, width and length in metres."""
        with Image.open(path) as image:
            if not path.name.endswith("SAR.tif"):
                picture = np.asarray(image.convert("RGB"))
                return picture, picture.shape[1] * 0.75, picture.shape[0] * 0.75
            amplitude = np.asarray(image, dtype=np.float32)
        if self.denoise == "transoss":
            grey = (amplitude / amplitude.max() * 255).astype(np.uint8)
        else:
            low, high = np.percentile(amplitude, 5), np.percentile(amplitude, 100)
            stretched = (amplitude - low) / (high - low + 1e-8) * 255.0
            grey = np.clip(stretched, 0, 255).astype(np.uint8)
        # [H, W] -> [H, W, 3]
        return np.stack([grey] * 3, axis=-1), float(grey.shape[1]), float(grey.shape[0])

    def transoss(self, pixels: Array, camera: int, size: Array) -> Array:
        w = {name.removeprefix("base."): value for name, value in self.w.items()}
        embedding = "patch_embed_SAR" if camera else "patch_embed"
        # [256, 128, 3] -> [rows, y, columns, x, 3] -> [rows, columns, 3, y, x] -> [patches, 768]
        patches = pixels.reshape(16, 16, 8, 16, 3).transpose(0, 2, 4, 1, 3).reshape(PATCHES, -1)
        tokens = patches @ w[f"{embedding}.proj.weight"].reshape(WIDTH, -1).T
        tokens = np.concatenate([w["cls_token"][0], tokens + w[f"{embedding}.proj.bias"]])
        tokens = tokens + w["pos_embed"][0] + 3.0 * w["mie_embed"][camera]
        if "wh_embed.linear_layer.weight" in w:
            sized = w["wh_embed.linear_layer.weight"] @ size + w["wh_embed.linear_layer.bias"]
            tokens = np.concatenate([tokens, sized[None]])
        for block in range(DEPTH):
            p = f"blocks.{block}."
            tokens = tokens + self.attention(self.norm(tokens, p + "norm1"), p)
            hidden = self.linear(self.norm(tokens, p + "norm2"), p + "mlp.fc1")
            hidden = hidden * 0.5 * (1 + erf(hidden / math.sqrt(2)))
            tokens = tokens + self.linear(hidden, p + "mlp.fc2")
        cls: Array = self.norm(tokens, "norm")[0]
        return cls

    def attention(self, tokens: Array, p: str) -> Array:
        query, key, value = np.split(self.linear(tokens, p + "attn.qkv"), 3, axis=1)
        heads = []
        for columns in np.split(np.arange(WIDTH), HEADS):
            scores = query[:, columns] @ key[:, columns].T / math.sqrt(WIDTH / HEADS)
            weights = np.exp(scores - scores.max(axis=1, keepdims=True))
            heads.append(weights / weights.sum(axis=1, keepdims=True) @ value[:, columns])
        return self.linear(np.concatenate(heads, axis=1), p + "attn.proj")

    def linear(self, rows: Array, name: str) -> Array:
        result: Array = rows @ self.w[f"base.{name}.weight"].T + self.w[f"base.{name}.bias"]
        return result

    def norm(self, rows: Array, name: str) -> Array:
        centred = rows - rows.mean(axis=1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-6)
        result: Array = scaled * self.w[f"base.{name}.weight"] + self.w[f"base.{name}.bias"]
        return result


@pytest.fixture(scope="module", params=["mos", "transoss"])
def served(
    request: pytest.FixtureRequest,
    chips: list[SampleChip],
    tmp_path_factory: pytest.TempPathFactory,
) -> Embedder:
    """Import, export and bundle the published checkpoint, and open the bundle as the service."""
    folder = tmp_path_factory.mktemp("official")
    path = saved({f"module.{k}": v for k, v in published_checkpoint().items()}, folder)
    plan = BundlePlan(
        name=request.param,
        method="test",
        encoder=official_encoder_part(load_official(path, request.param)),
        training=official_training_spec(request.param),
        licences={},
        chips=chips,
    )
    build_bundle(plan, folder / "bundle")
    return load_embedder(folder / "bundle", "cpu", threads=1)


def assert_equal_to_the_method(served: Embedder, paths: list[Path]) -> None:
    method = PublishedMethod(published_checkpoint(), served.manifest.name)
    decoded = [
        decode_chip(
            path.read_bytes(),
            modality=Modality.SAR if path.name.endswith("SAR.tif") else Modality.OPTICAL,
        )
        for path in paths
    ]
    for path, embedded in zip(paths, served.embed_many(decoded), strict=True):
        assert np.abs(embedded.vector - method.embed(path)).max() < 1e-4, path.name
    spread = np.stack([method.embed(path) for path in paths])
    # the embeddings differ from each other in at least three directions
    assert np.linalg.matrix_rank(spread - spread.mean(axis=0), tol=1e-2) >= 3


def test_embeddings_equal_the_method_on_genuine_chips(served: Embedder) -> None:
    paths = genuine_chips("*_SAR.tif")[:8] + genuine_chips("*_RGB.tif")[:8]
    assert len(paths) == 16
    assert_equal_to_the_method(served, paths)


def test_embeddings_equal_the_method_on_chips_of_noise(
    served: Embedder, chips: list[SampleChip], tmp_path: Path
) -> None:
    for chip in chips:
        (tmp_path / chip.name).write_bytes(chip.data)
    assert_equal_to_the_method(served, sorted(tmp_path.iterdir()))


@pytest.mark.parametrize(
    ("options", "name", "denoising"),
    [
        ((), "mos", "denoised as by MOS: the 5th percentile of a chip becomes 0"),
        (("--published-by", "transoss"), "transoss", "denoised as by TransOSS: the maximum"),
    ],
)
def test_the_import_says_how_sar_is_denoised(
    options: tuple[str, ...], name: str, denoising: str, tmp_path: Path
) -> None:
    path, out = saved(published_checkpoint(), tmp_path), tmp_path / "bundle"
    command = ["import-official", "--encoder", str(path), "--out", str(out), *options]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert denoising in result.stdout
    manifest = open_bundle(out).manifest
    assert manifest.name == f"{name}-official"
    assert manifest.preprocess.denoise_percentile == (5.0 if name == "mos" else None)
    assert ("0 stays 0" in (out / "MODEL_CARD.md").read_text()) == (name == "transoss")


def test_shape_and_size_token_follow_from_the_tensors(tmp_path: Path) -> None:
    config = load_official(saved(published_checkpoint(), tmp_path)).config
    assert (config.width, config.depth, config.heads) == (WIDTH, DEPTH, HEADS)
    assert config.size_token
    plain = load_official(saved(published_checkpoint(size_token=False), tmp_path)).config
    assert not plain.size_token


def test_a_wrapped_state_dictionary_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "wrapped.pth"
    torch.save({"state_dict": published_checkpoint()}, path)
    assert load_official(path).config.width == WIDTH


def test_tensors_used_in_training_only_are_dropped() -> None:
    names = rename_published(published_checkpoint()).keys()
    assert not [n for n in names if n.startswith(("fc", "classifier", "bottleneck", "logit"))]
    assert {"patch_embed_sar.proj.weight", "modality_embed", "size_embed.bias"} <= names


def without(name: str) -> dict[str, Tensor]:
    state = published_checkpoint()
    del state[name]
    return state


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (without("base.blocks.1.mlp.fc2.bias"), r"blocks.1.mlp.fc2.bias is missing"),
        (without("base.cls_token"), "there is no cls_token"),
        (published_checkpoint() | {"base.head.weight": torch.zeros(1)}, "head.weight is unknown"),
        (
            published_checkpoint() | {"base.pos_embed": torch.zeros(1, 197, WIDTH)},
            r"pos_embed has the shape \[1, 197, 128\], expected \[1, 129, 128\]",
        ),
        (published_checkpoint() | {"base.cls_token": torch.zeros(1, 1, 100)}, "heads of 64"),
        ({"epoch": 3}, "state dictionary of tensors"),
    ],
)
def test_other_checkpoints_are_refused_with_the_reason(
    state: dict[str, Tensor], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=reason):
        load_official(saved(state, tmp_path))


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mos.pth"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match=r"mos\.pth is not a PyTorch checkpoint"):
        load_official(path)
