"""Convert a published MOS or TransOSS checkpoint into the reference encoder.

Key names are those of the authors' released code, see `model_training.encoder.published`. The
checkpoints of both methods have the same keys and shapes; which method trained one cannot be read
from it.
"""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from model_training.encoder import ReferenceConfig, ReferenceEncoder
from model_training.encoder.published import rename_published
from service.contract.manifest import PreprocessSpec

HEAD_WIDTH = 64  # of ViT-B: 768 / 12; the number of heads does not follow from the tensors
PATCH = 16

PublishedMethod = Literal["mos", "transoss"]
METHOD_NAMES: dict[PublishedMethod, str] = {"mos": "MOS", "transoss": "TransOSS"}
PREPROCESSING: dict[PublishedMethod, PreprocessSpec] = {
    "mos": PreprocessSpec(),
    "transoss": PreprocessSpec(denoise_percentile=None),
}
"""How the authors' code of each method reads chips: they differ in the denoising of SAR only."""


class CheckpointError(Exception):
    """The file is not a checkpoint of MOS or TransOSS."""


def load_official(path: Path, method: PublishedMethod = "mos") -> ReferenceEncoder:
    """Read a published checkpoint into the reference encoder, in eval mode on the CPU.

    The method that trained it decides how chips are prepared, see `PREPROCESSING`.

    Width, depth and the presence of the size token (SSE) follow from the tensors; the weight of the
    modality embedding (MIE) is 3.0, as published.

    Raises:
        CheckpointError: the file cannot be read, a tensor is missing, unknown or misshapen.
    """
    tensors = rename_published(_read(path))
    config = _infer_config(tensors, PREPROCESSING[method])
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


def _infer_config(tensors: Mapping[str, Tensor], preprocess: PreprocessSpec) -> ReferenceConfig:
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
        preprocess=preprocess,
        patch=PATCH,
        width=width,
        depth=len(blocks),
        heads=width // HEAD_WIDTH,
        size_token="size_embed.weight" in tensors,
    )
