"""Convert a published MOS or TransOSS checkpoint into the reference encoder.

Key names are those of the authors' released code: `build_transformer` in `model/make_model.py`
holds the backbone as `base`, `TransOSS` in `model/backbones/vit_transoss.py` names its parts
(GitHub `yjzhao1019/MOS`, `Alioth2000/Hoss-ReID`). The checkpoint is a plain state dictionary, its
keys prefixed with `module.` if it was saved by a distributed run.
"""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from model_training.encoder import ReferenceConfig, ReferenceEncoder

HEAD_WIDTH = 64  # of ViT-B: 768 / 12; the number of heads does not follow from the tensors
PATCH = 16

_RENAMED = {
    "patch_embed_SAR.": "patch_embed_sar.",
    "mie_embed": "modality_embed",
    "wh_embed.linear_layer.": "size_embed.",
}
# Used in training only: the BN neck and the classifiers come after the embedding.
_UNUSED = re.compile(r"^(fc|classifier|bottleneck)\.|^logit_scale$")


class CheckpointError(Exception):
    """The file is not a checkpoint of MOS or TransOSS."""


def load_official(path: Path) -> ReferenceEncoder:
    """Read a published checkpoint into the reference encoder, in eval mode on the CPU.

    Width, depth and the presence of the size token (SSE) follow from the tensors; the weight of the
    modality embedding (MIE) is 3.0, as published.

    Raises:
        CheckpointError: the file cannot be read, a tensor is missing, unknown or misshapen.
    """
    tensors = rename_official(_read(path))
    config = _infer_config(tensors)
    encoder = ReferenceEncoder(config)
    expected = encoder.state_dict()
    problems = [
        *(f"{name} is missing" for name in sorted(expected.keys() - tensors.keys())),
        *(f"{name} is unknown" for name in sorted(tensors.keys() - expected.keys())),
        *(
            f"{name} has the shape {list(tensors[name].shape)}, expected {list(value.shape)}"
            for name, value in expected.items()
            if name in tensors and tensors[name].shape != value.shape
        ),
    ]
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise CheckpointError(f"{path.name} is no TransOSS: {'; '.join(problems[:5])}{more}")
    encoder.load_state_dict(tensors)
    return encoder.float().eval()


def rename_official(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
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


def _read(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path.name} is not a PyTorch checkpoint of tensors") from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise CheckpointError(f"{path.name} does not hold a state dictionary of tensors")
    return content


def _infer_config(tensors: Mapping[str, Tensor]) -> ReferenceConfig:
    if "cls_token" not in tensors:
        raise CheckpointError("there is no cls_token: this is not a checkpoint of MOS or TransOSS")
    width = tensors["cls_token"].shape[-1]
    blocks = {int(m[1]) for name in tensors if (m := re.match(r"blocks\.(\d+)\.", name))}
    if width % HEAD_WIDTH or not blocks:
        raise CheckpointError(
            f"expected a ViT with heads of {HEAD_WIDTH}, got width {width} and {len(blocks)} blocks"
        )
    return ReferenceConfig(
        kind="reference",
        patch=PATCH,
        width=width,
        depth=len(blocks),
        heads=width // HEAD_WIDTH,
        size_token="size_embed.weight" in tensors,
    )
