"""Opening models: one checkpoint, several as one, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from model_training.data.hoss import read_hoss
from model_training.embedding.chip_table import embed_chips
from model_training.embedding.models import ModelError, open_model
from model_training.encoder import build_encoder
from model_training.encoder.train_config import EncoderTrainConfig
from model_training.training.checkpoint import Checkpoint
from service.contract.errors import BundleError
from service.contract.preprocess import prepare
from tests.support.training.training_data import write_chips

CONFIG = EncoderTrainConfig.model_validate(
    {
        "run": {"out": "nowhere", "steps": 1},
        "encoder": {"kind": "compact"},
        "data": {"kind": "hoss", "folder": "nowhere", "cache": "nowhere"},
        "objective": {"kind": "pairs"},
    }
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Module]:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("run") / "best.pt"
    encoder = build_encoder(CONFIG.encoder)
    averaged = {f"encoder.{name}": value for name, value in encoder.state_dict().items()}
    Checkpoint(CONFIG.model_dump(mode="json"), "0", None, ema=averaged).save(path)
    return path, encoder.eval()


def test_a_checkpoint_embeds_with_its_averaged_weights(
    checkpoint: tuple[Path, nn.Module], tmp_path: Path
) -> None:
    path, encoder = checkpoint
    write_chips(tmp_path, "0001_a_RGB.tif", "0001_b_SAR.tif")
    chips = read_hoss(tmp_path).loose
    table = embed_chips(chips, open_model(path, threads=1))
    assert table.embeddings.fused is None
    for row, labelled in enumerate(chips):
        item = prepare(labelled.read(), CONFIG.encoder.preprocess)
        with torch.inference_mode():
            (vector,) = encoder(
                torch.from_numpy(item.pixels)[None],
                torch.tensor([row]),
                torch.from_numpy(item.size_token)[None],
            ).numpy()
        np.testing.assert_allclose(
            table.embeddings.plain[row], vector / np.linalg.norm(vector), atol=1e-5
        )


def test_a_path_without_a_model_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        open_model(tmp_path / "missing")
    with pytest.raises(BundleError, match=r"manifest\.json"):
        open_model(tmp_path)
    torch.save({"weights": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(ModelError, match=r"other\.pt is not a checkpoint"):
        open_model(tmp_path / "other.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(ModelError, match=r"text\.pt is not a checkpoint"):
        open_model(tmp_path / "text.pt")
    with pytest.raises(ModelError, match="name a bundle's folder"):
        open_model()


def test_several_checkpoints_are_used_as_one(
    checkpoint: tuple[Path, nn.Module], tmp_path: Path
) -> None:
    path, _ = checkpoint
    second = tmp_path / "second.pt"
    other = Checkpoint.load(path)
    other.ema = {name: value + 0.01 for name, value in other.ema.items()}
    other.save(second)
    write_chips(tmp_path / "chips", "0001_a_RGB.tif", "0001_b_SAR.tif")
    chips = [labelled.read() for labelled in read_hoss(tmp_path / "chips").loose]
    one, two, both = (
        open_model(*paths, threads=1)(chips).plain for paths in ([path], [second], [path, second])
    )
    assert both.shape[1] == one.shape[1] + two.shape[1]
    np.testing.assert_allclose(both @ both.T, (one @ one.T + two @ two.T) / 2, atol=1e-6)
    with pytest.raises(ModelError, match="given twice"):
        open_model(path, path)
    with pytest.raises(ModelError, match="only checkpoints can be used together"):
        open_model(path, tmp_path)
