"""Training of the late layers on stored features: equal features, mined look-alikes, resuming."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from model_training.data.cache import StoreError
from model_training.data.samplers import PairSampler
from model_training.encoder import LiteEncoder
from model_training.encoder.batches import Batch
from model_training.encoder.large_batches.mining import Miner
from model_training.encoder.loading import load_encoder
from model_training.encoder.stores import TrainingStores
from model_training.encoder.train import EncoderTask
from model_training.encoder.train_config import EncoderTrainConfig
from model_training.training.checkpoint import Checkpoint
from model_training.training.run import ResumeError, fit
from tests.support.training.archives import ENCODER
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


def test_only_the_large_batches_are_trained(
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


class _ByNumber(nn.Module):
    """A model whose embedding is the number of the ship, so that neighbours have the next one."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, angle: Tensor, _modality: Tensor, _size: Tensor) -> dict[str, Tensor]:
        return {"embedding": torch.cat([angle.cos(), angle.sin()], 1).flatten(1)}


def test_mined_ships_are_those_that_the_encoder_takes_for_each_other(
    tmp_path: Path, stores: TrainingStores
) -> None:
    def numbered(rows: Sequence[int]) -> Batch:
        vessel = torch.from_numpy(stores.train.vessel_row[np.asarray(rows)])
        angle = vessel.float()[:, None, None, None] / 100
        return Batch(angle, torch.zeros(len(rows)), torch.zeros(len(rows), 3), vessel)

    sampler = PairSampler(stores.train)
    miner = Miner(numbered, sampler, 2, tmp_path / "mined.npz", "float32")
    generator = np.random.default_rng(0)
    miner.refresh(0, _ByNumber(), generator, keep=False)
    groups = [miner.group(generator) for _ in range(20)]
    for group in groups:
        assert np.ptp(group) == len(group) - 1 == 16
    assert len({int(group[0]) for group in groups}) > 5


def test_look_alikes_are_mined_without_stored_features_too(
    tmp_path: Path, stores: TrainingStores
) -> None:
    settings = toy_config(tmp_path, ENCODER, MINED, steps=5, checkpoint_every=1)
    fit(EncoderTask(settings, stores), settings.run, settings.optimiser, settings)
    expected = losses(tmp_path)
    (tmp_path / "checkpoint.pt").unlink()
    fit(EncoderTask(settings, stores), settings.run, settings.optimiser, settings, stop_at=3)
    fit(EncoderTask(settings, stores), settings.run, settings.optimiser, settings)
    assert losses(tmp_path) == expected


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
        (
            {"early_features": None, "run": {"out": "run", "steps": 4, "loader_workers": 1}},
            "mined_share needs loader_workers 0",
        ),
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
