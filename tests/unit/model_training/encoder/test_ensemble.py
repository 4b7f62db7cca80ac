"""An ensemble's cosine is the mean of its members', and members with other input are refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from model_training.encoder import build_encoder
from model_training.encoder.ensemble import Ensemble
from model_training.encoder.loading import EncoderLoadError, load_encoder, load_encoders
from model_training.encoder.train_config import EncoderTrainConfig
from model_training.training.checkpoint import Checkpoint
from service.contract.fusion import l2_normalise

REFERENCE = {
    "kind": "reference",
    "preprocess": {"height": 32, "width": 16},
    "width": 16,
    "depth": 1,
    "heads": 2,
}
COMPACT = {
    "kind": "compact",
    "preprocess": {"height": 32, "width": 16},
    "stem_widths": [4, 4],
    "grid_width": 8,
    "width": 32,
    "depth": 0,
    "heads": 2,
    "embedding_width": 24,
}


def save(path: Path, encoder: dict[str, Any], seed: int) -> Path:
    config = EncoderTrainConfig.model_validate(
        {
            "run": {"out": "runs/e", "steps": 1, "seed": seed},
            "encoder": encoder,
            "data": {"kind": "hoss", "folder": "none", "cache": "none"},
            "objective": {"kind": "pairs"},
        }
    )
    torch.manual_seed(seed)
    averaged = {
        f"encoder.{name}": value
        for name, value in build_encoder(config.encoder).state_dict().items()
    }
    Checkpoint(config.model_dump(mode="json"), "d", None, ema=averaged).save(path)
    return path


def chips(count: int) -> tuple[Tensor, Tensor, Tensor]:
    drawn = torch.Generator().manual_seed(3)
    return (
        torch.randn(count, 3, 32, 16, generator=drawn),
        torch.arange(count) % 2,
        torch.randn(count, 3, generator=drawn),
    )


def test_the_cosine_is_the_mean_of_the_members_cosines(tmp_path: Path) -> None:
    paths = [
        save(tmp_path / "a.pt", REFERENCE, 1),
        save(tmp_path / "b.pt", REFERENCE, 2),
        save(tmp_path / "c.pt", COMPACT, 3),
    ]
    loaded = load_encoders(paths)
    inputs = chips(7)
    with torch.inference_mode():
        together = loaded.module(*inputs).numpy()
        apart = [l2_normalise(load_encoder(path).module(*inputs).numpy()) for path in paths]
    assert together.shape == (7, loaded.embedding_width) == (7, 16 + 16 + 24)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1.0, abs=1e-6)
    mean = np.mean([unit @ unit.T for unit in apart], axis=0)
    assert together @ together.T == pytest.approx(mean, abs=1e-6)
    assert np.abs(mean - apart[0] @ apart[0].T).max() > 1e-2


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_member_of_smaller_pictures_sees_the_large_one_averaged_and_standardised(
    tmp_path: Path, order: tuple[int, int]
) -> None:
    spec = {"height": 32, "width": 16, "normalisation": "per_chip"}
    large = {"height": 64, "width": 32, "normalisation": "per_chip"}
    paths = [
        save(tmp_path / "small.pt", {**COMPACT, "preprocess": spec}, 1),
        save(tmp_path / "large.pt", {**COMPACT, "preprocess": large}, 2),
    ]
    loaded = load_encoders([paths[i] for i in order])
    assert (loaded.preprocess.height, loaded.preprocess.width) == (64, 32)
    _, modality, size = chips(4)
    # each pixel of the small picture is four equal pixels of the large one
    small = torch.randn(4, 3, 32, 16, generator=torch.Generator().manual_seed(5))
    small = (small - small.mean((1, 2, 3), True)) / small.std((1, 2, 3), correction=0, keepdim=True)
    pixels = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    inputs = {"small.pt": small, "large.pt": pixels}
    with torch.inference_mode():
        shown = 3 * pixels if order == (0, 1) else pixels
        together = loaded.module(shown, modality, size).numpy()
        if order == (0, 1):
            inputs["large.pt"] = 3 * pixels  # the small picture is standardised again
        apart = [
            l2_normalise(
                load_encoder(paths[i]).module(inputs[paths[i].name], modality, size).numpy()
            )
            for i in order
        ]
    assert together == pytest.approx(np.concatenate(apart, axis=1) / np.sqrt(2), abs=1e-4)


def test_members_have_equal_weight_whatever_the_length_of_their_vectors() -> None:
    class Scaled(nn.Module):
        def __init__(self, scale: float) -> None:
            super().__init__()
            self.scale = scale

        def forward(self, _pixels: Tensor, _modality: Tensor, size: Tensor) -> Tensor:
            return self.scale * size

    joined = Ensemble([Scaled(1.0), Scaled(1000.0)])(*chips(4))
    assert torch.allclose(joined[:, :3], joined[:, 3:], atol=1e-6)


def test_a_single_encoder_is_not_wrapped(tmp_path: Path) -> None:
    path = save(tmp_path / "a.pt", REFERENCE, 1)
    loaded, alone = load_encoders([path]), load_encoder(path)
    with torch.inference_mode():
        assert torch.equal(loaded.module(*chips(3)), alone.module(*chips(3)))
    assert loaded.embedding_width == alone.config.embedding_width
    assert loaded.preprocess == alone.config.preprocess
    assert not loaded.module.training


def test_members_with_other_input_are_refused_with_the_difference(tmp_path: Path) -> None:
    first = save(tmp_path / "a.pt", REFERENCE, 1)
    preprocess = {"height": 48, "width": 16, "sar_exponent": 0.7}
    other = save(tmp_path / "b.pt", {**REFERENCE, "preprocess": preprocess}, 2)
    with pytest.raises(EncoderLoadError, match=r"b\.pt and .*a\.pt cannot") as error:
        load_encoders([first, other])
    assert str(error.value).endswith("inputs differ: height 48 and 32, sar_exponent 0.7 and 1.0")
    with pytest.raises(EncoderLoadError, match="given twice"):
        load_encoders([first, first])
    with pytest.raises(ValueError, match="at least one"):
        load_encoders([])
    with pytest.raises(ValueError, match="at least two"):
        Ensemble([nn.Identity()])
