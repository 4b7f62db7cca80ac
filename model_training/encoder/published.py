"""Start an encoder from an earlier run, from published TransOSS or MOS weights, or from ImageNet.

Key names are those of the authors' released code: `build_transformer` in `model/make_model.py`
holds the backbone as `base`, `TransOSS` in `model/backbones/vit_transoss.py` names its parts
(GitHub `yjzhao1019/MOS`, `Alioth2000/Hoss-ReID`). Its other names are those of timm's ViT, whose
ImageNet weights (`vit_base_patch16_224`) the released pretraining starts from. A file is a plain
state dictionary, its keys prefixed with `module.` if it was saved by a distributed run.
"""

import math
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model_training.encoder.loading import EncoderLoadError, load_encoder_weights
from model_training.encoder.reference import ReferenceEncoder
from model_training.training.checkpoint import Checkpoint

Origin = Literal["run", "transoss", "imagenet"]

EXPECTED = (
    "expected a checkpoint of an encoder run, or a .pth state dictionary of TransOSS, of MOS or of "
    "timm's vit_base_patch16_224"
)
_RENAMED = {
    "patch_embed_SAR.": "patch_embed_sar.",
    "mie_embed": "modality_embed",
    "wh_embed.linear_layer.": "size_embed.",
}
# Used in training only: the BN neck and the classifiers come after the embedding.
_UNUSED = re.compile(r"^(fc|classifier|bottleneck)\.|^logit_scale$")
_IMAGENET_HEAD = ("head.", "pre_logits.")
# A file may lack these; the released `load_param` leaves them at their initial values, too.
_OPTIONAL = ("size_embed.", "modality_embed")
_WRAPPERS = ("model", "state_dict")


def rename_published(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename published keys to those of the reference encoder, dropping training-only tensors."""
    renamed = {}
    for published_name, tensor in published.items():
        name = published_name.removeprefix("module.").removeprefix("base.")
        if _UNUSED.search(name):
            continue
        for published_prefix, prefix in _RENAMED.items():
            if name.startswith(published_prefix):
                name = prefix + name.removeprefix(published_prefix)
        renamed[name] = tensor
    return renamed


def load_initial_weights(model: nn.Module, path: Path) -> None:
    """Copy the weights of a file into `model.encoder`, whose head keeps its initial weights.

    Takes a checkpoint of an encoder run (averaged weights), or, for the reference encoder,
    published weights. Where the grid of patches differs, the position embedding is interpolated
    bilinearly, as in the released code. ImageNet weights have one patch embedding, which both
    sensors take; size and modality embedding keep their initial weights where a file has none.

    Raises:
        EncoderLoadError: the file is none of these, or does not fit the encoder; in one line.
    """
    content = _read(path)
    if _origin(content) == "run":
        load_encoder_weights(model, Checkpoint(**content))
        return
    encoder = model.encoder
    if not isinstance(encoder, ReferenceEncoder):
        raise EncoderLoadError(
            f"{path}: published ViT weights fit `encoder: {{kind: reference}}` only; start this "
            "encoder from a checkpoint of its own kind"
        )
    _copy(encoder, rename_published(_tensors(content)), path)


def origin_of(path: Path) -> Origin:
    """Say where the weights of a file come from: a run of this code, TransOSS or MOS, or ImageNet.

    Raises:
        EncoderLoadError: the file is none of these.
    """
    origin = _origin(_read(path))
    assert origin is not None  # `_read` refuses other files
    return origin


def _read(path: Path) -> dict[str, Any]:
    """Return the content of a file of weights, of which `_origin` knows the origin."""
    if not path.is_file():
        raise EncoderLoadError(f"there is no file of initial weights at {path}; {EXPECTED}")
    if path.suffix == ".safetensors":
        raise EncoderLoadError(
            f"{path}: safetensors files are not read; save the tensors as .pth with torch.save"
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, LookupError, pickle.UnpicklingError) as error:
        raise EncoderLoadError(f"{path} is not a PyTorch file of tensors; {EXPECTED}") from error
    if not isinstance(content, dict) or _origin(content) is None:
        held = f"holds {', '.join(map(str, list(content)[:3]))}, ..." if content else "is empty"
        raise EncoderLoadError(f"{path} {held}; {EXPECTED}")
    return content


def _origin(content: Mapping[str, Any]) -> Origin | None:
    """Return the origin of the content of a file, or None if it has no known one."""
    if {"config", "ema"} <= content.keys():
        return "run"
    names = rename_published(_tensors(content)).keys()
    if not {"cls_token", "pos_embed", "patch_embed.proj.weight"} <= names:
        return None
    return "transoss" if "patch_embed_sar.proj.weight" in names else "imagenet"


def _tensors(content: Mapping[str, Any]) -> Mapping[str, Tensor]:
    """Return the state dictionary of a file, which may be wrapped; only its tensors."""
    for wrapper in _WRAPPERS:
        if isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def _copy(encoder: ReferenceEncoder, stored: dict[str, Tensor], path: Path) -> None:
    """Copy renamed tensors into an encoder, or raise EncoderLoadError without a change."""
    square = "patch_embed_sar.proj.weight" not in stored  # ImageNet's pictures are square
    if square:
        stored = {k: v for k, v in stored.items() if not k.startswith(_IMAGENET_HEAD)}
        for part in ("weight", "bias"):
            if f"patch_embed.proj.{part}" in stored:
                stored[f"patch_embed_sar.proj.{part}"] = stored[f"patch_embed.proj.{part}"]
    stored["pos_embed"] = _resized_positions(stored["pos_embed"], encoder.grid, square, path)
    own = encoder.state_dict()
    if encoder.size_embed is None:
        stored = {k: v for k, v in stored.items() if not k.startswith("size_embed.")}
    problems = [
        *(f"{name} is unknown" for name in sorted(stored.keys() - own.keys())),
        *(
            f"{name} is missing"
            for name in sorted(own.keys() - stored.keys())
            if not name.startswith(_OPTIONAL)
        ),
        *(
            f"{name} has the shape {list(stored[name].shape)}, not {list(value.shape)}"
            for name, value in own.items()
            if name in stored and stored[name].shape != value.shape
        ),
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise EncoderLoadError(
            f"{path} does not fit the encoder of the config: {'; '.join(problems[:3])}{more}; "
            "the published weights are ViT-B/16 (width 768, depth 12, heads 12, patch 16)"
        )
    with torch.no_grad():
        for name, value in own.items():
            if name in stored:
                value.copy_(stored[name])


def _resized_positions(stored: Tensor, grid: tuple[int, int], square: bool, path: Path) -> Tensor:
    """Interpolate the position embedding `[1, 1 + h w, D]` to another grid of patches.

    The stored grid is square (ImageNet) or twice as high as wide (TransOSS, MOS); a count that is
    neither must be that of `grid`.
    """
    count, width = stored.shape[1] - 1, stored.shape[2]
    columns = math.isqrt(count if square else count // 2)
    rows = columns if square else 2 * columns
    if rows * columns != count:
        if count != grid[0] * grid[1]:
            raise EncoderLoadError(
                f"{path}: {count} position embeddings make no "
                f"{'square' if square else '2:1'} grid, and the encoder has {grid[0]} x {grid[1]}"
            )
        rows, columns = grid
    if (rows, columns) == grid:
        return stored
    # [1, h w, D] -> [1, D, h, w]
    picture = stored[:, 1:].float().transpose(1, 2).reshape(1, width, rows, columns)
    resized = F.interpolate(picture, grid, mode="bilinear", align_corners=False)
    return torch.cat([stored[:, :1], resized.flatten(2).transpose(1, 2).to(stored.dtype)], 1)
