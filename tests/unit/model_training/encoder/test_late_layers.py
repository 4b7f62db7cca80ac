"""Training of the late layers on stored features: equal features, mined look-alikes, resuming."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from model_training.data.cache import StoreError
from model_training.encoder import LiteEncoder
from model_training.encoder.late_layers.features import FeatureStore
from model_training.encoder.late_layers.mining import Miner
from model_training.encoder.loading import load_encoder
from model_training.encoder.stores import TrainingStores
from model_training.encoder.train import EncoderTask
from model_training.encoder.train_config import EncoderTrainConfig
from model_training.training.checkpoint import Checkpoint
from model_training.training.run import ResumeError, fit
from tests.support.training.toy_fleet import LITE, PAIRS, losses, toy_config, toy_store

MINED = {**PAIRS, "mined_share": 0.5, "mined_refresh_steps": 2}


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> TrainingStores:
    folder = tmp_path_factory.mktemp("toy")
    train = toy_store(folder, 0, 48)
    return TrainingStores(train, toy_store(folder, 100, 16), train.digest())


@pytest.fixture(scope="module")
def initial(stores: TrainingStores, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("initial")
    first = toy_config(out, LITE, PAIRS)
    fit(EncoderTask(first, stores), first.run, first.optimiser, first)
    return out / "checkpoint.pt"


def late(
    folder: Path, initial: Path, objective: dict[str, Any], **changes: Any
) -> EncoderTrainConfig:
    first = toy_config(folder / "run", LITE, PAIRS, **changes).model_dump()
    stored = {"initial": initial, "early_features": {"folder": folder / "features"}}
    return EncoderTrainConfig.model_validate({**first, **stored, "objective": objective})


def test_only_the_late_layers_are_trained(
    tmp_path: Path, stores: TrainingStores, initial: Path
) -> None:
    settings = late(tmp_path, initial, MINED)
    trained = fit(EncoderTask(settings, stores), settings.run, settings.optimiser, settings)
    before = Checkpoint.load(initial).ema
    moved = {
        name
        for name, value in trained.model.items()
        if name.startswith("encoder.") and not torch.equal(value, before[name])
    }
    assert not [name for name in moved if ".network.stem." in name or ".network.fine." in name]
    assert [name for name in moved if ".network.coarse." in name]
    assert "encoder.head.weight" in moved
    assert isinstance(load_encoder(tmp_path / "run" / "checkpoint.pt").module, LiteEncoder)


def test_the_features_of_a_batch_lead_to_the_embeddings_of_its_chips(
    tmp_path: Path, stores: TrainingStores, initial: Path
) -> None:
    plain = {
        "geometry": {"crop_along": 0, "crop_across": 0, "tilt": 0, "size_noise": 0, "mirror": 0}
        | {"half_turn": 0, "turn_apart": 0},
        "appearance": {"optical": 0, "sar": 0, "erase": 0},
    }
    settings = late(tmp_path, initial, PAIRS).model_dump() | {"augment": plain}
    task = EncoderTask(EncoderTrainConfig.model_validate(settings), stores)
    chips = EncoderTask(
        EncoderTrainConfig.model_validate(settings | {"early_features": None}), stores
    ).batch(0, 0)
    stored = task.batch(0, 0)
    assert stored.pixels.shape == (16, 40, 8, 4)
    assert stored.vessel.tolist() == chips.vessel.tolist()
    encoder = load_encoder(initial).module
    assert isinstance(encoder, LiteEncoder)
    with torch.no_grad():
        expected = encoder.embed(chips.pixels, chips.modality, chips.size)
        embedded = encoder.embed(stored.pixels, stored.modality, stored.size)
    assert torch.allclose(embedded, expected, atol=5e-3)


def test_a_killed_run_resumes_between_and_at_refreshes(
    tmp_path: Path, stores: TrainingStores, initial: Path
) -> None:
    settings = late(tmp_path, initial, MINED, steps=7, checkpoint_every=1)
    out = tmp_path / "run"
    fit(EncoderTask(settings, stores), settings.run, settings.optimiser, settings)
    expected = losses(out)
    (out / "checkpoint.pt").unlink()
    for stop in (3, 4, 7):
        task = EncoderTask(settings, stores)
        fit(task, settings.run, settings.optimiser, settings, stop_at=stop)
    assert losses(out) == expected
    assert len(set(expected)) == 7


def test_a_run_does_not_resume_without_its_look_alikes(
    tmp_path: Path, stores: TrainingStores, initial: Path
) -> None:
    settings = late(tmp_path, initial, MINED, steps=7, checkpoint_every=1)
    task = EncoderTask(settings, stores)
    fit(task, settings.run, settings.optimiser, settings, stop_at=3)
    (tmp_path / "run" / "mined.npz").unlink()
    with pytest.raises(ResumeError, match=r"mined\.npz does not hold the look-alikes of step 2"):
        fit(EncoderTask(settings, stores), settings.run, settings.optimiser, settings)


class _ByNumber(FeatureStore):
    """Features that are the number of the ship, so that neighbours have the next numbers."""

    def batch(self, rows: Any) -> Any:
        batch = FeatureStore.batch(self, rows)
        angle = batch.vessel.float() / 100
        grid = torch.stack([angle.cos(), angle.sin()], 1)[:, :, None, None]
        return type(batch)(grid, batch.modality, batch.size, batch.vessel)


def test_mined_ships_are_those_that_the_encoder_takes_for_each_other(
    tmp_path: Path, stores: TrainingStores, initial: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = EncoderTask(late(tmp_path, initial, MINED), stores)
    assert task.features is not None
    assert task.pairs is not None
    found = task.features
    features = _ByNumber(found.chips, found.features, found.size, found.layout)
    monkeypatch.setattr(task.model.encoder, "embed", lambda grid, _modality, _size: grid.flatten(1))
    miner = Miner(features, task.pairs, 2, tmp_path / "mined.npz", "float32")
    generator = np.random.default_rng(0)
    miner.refresh(2, task.model, generator, keep=False)
    groups: list[NDArray[np.int64]] = [miner.group(generator) for _ in range(20)]
    for group in groups:
        assert np.ptp(group) == len(group) - 1 == 16
    assert len({int(group[0]) for group in groups}) > 5


def test_features_of_other_weights_are_refused(
    tmp_path: Path, stores: TrainingStores, initial: Path
) -> None:
    EncoderTask(late(tmp_path, initial, PAIRS), stores)
    other = tmp_path / "other.pt"
    checkpoint = Checkpoint.load(initial)
    checkpoint.step += 1
    checkpoint.save(other)
    with pytest.raises(StoreError, match=r"other settings \(initial differ"):
        EncoderTask(late(tmp_path, other, PAIRS), stores)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"early_features": None}, "mined_share needs early_features"),
        ({"initial": None}, "needs an encoder of kind lite and its `initial`"),
        ({"run": {"out": "run", "steps": 4, "loader_workers": 1}}, "needs loader_workers 0"),
        ({"run": {"out": "run", "steps": 4, "checkpoint_every": 3}}, "must be a multiple"),
        ({"objective": {"kind": "identities"}}, "needs pairs of a fleet"),
    ],
)
def test_configs_that_stored_features_do_not_allow_are_refused(
    tmp_path: Path, initial: Path, changes: dict[str, Any], reason: str
) -> None:
    allowed = late(tmp_path, initial, MINED).model_dump()
    with pytest.raises(ValidationError, match=reason):
        EncoderTrainConfig.model_validate(allowed | changes)
