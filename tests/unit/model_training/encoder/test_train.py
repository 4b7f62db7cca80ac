"""Encoder runs on a toy fleet: learning, exact resuming, loading checkpoints, refused configs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from model_training.encoder import CompactEncoder, ReferenceConfig, ReferenceEncoder
from model_training.encoder.heads import TrainedModel
from model_training.encoder.loading import EncoderLoadError, load_encoder
from model_training.encoder.stores import TrainingStores, open_stores
from model_training.encoder.train import (
    EncoderTask,
    cross_modal_scores,
    embed_store,
    identity_objective,
    pair_objective,
)
from model_training.encoder.train_config import EncoderTrainConfig, IdentityObjective
from model_training.training.checkpoint import Checkpoint
from model_training.training.config import ConfigError, load_config
from model_training.training.run import fit
from tests.support.paths import TRAINING_CONFIGS
from tests.support.training.archives import ENCODER, archive_config, write_archive
from tests.support.training.toy_fleet import (
    IDENTITIES,
    LITE,
    PAIRS,
    REFERENCE,
    logged,
    losses,
    toy_config,
    toy_store,
)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> TrainingStores:
    folder = tmp_path_factory.mktemp("toy")
    train = toy_store(folder, 0, 48)
    return TrainingStores(train, toy_store(folder, 100, 16), train.digest())


@pytest.mark.parametrize(
    ("encoder", "objective"),
    [(ENCODER, PAIRS), (LITE, PAIRS), (REFERENCE, IDENTITIES)],
    ids=["compact-pairs", "lite-pairs", "reference-identities"],
)
def test_a_killed_run_resumes_to_bit_equal_losses(
    tmp_path: Path, stores: TrainingStores, encoder: dict[str, Any], objective: dict[str, Any]
) -> None:
    settings = toy_config(tmp_path, encoder, objective)
    fit(EncoderTask(settings, stores), settings.run, settings.optimiser, settings)
    expected = losses(tmp_path)
    (tmp_path / "checkpoint.pt").unlink()
    fit(EncoderTask(settings, stores), settings.run, settings.optimiser, settings, stop_at=2)
    fit(EncoderTask(settings, stores), settings.run, settings.optimiser, settings)
    assert losses(tmp_path) == expected
    assert len(set(expected)) == 4


def test_the_compact_encoder_learns_to_distinguish_validation_ships(
    tmp_path: Path, stores: TrainingStores
) -> None:
    settings = toy_config(tmp_path, ENCODER, {**PAIRS, "pairs": 24}, steps=60, validate_every=60)
    checkpoint = fit(EncoderTask(settings, stores), settings.run, settings.optimiser, settings)
    chance = 100 * (2 + 1 / 3) / 32  # two true matches among thirty-two chips, roughly
    assert checkpoint.metrics["S2O_mAP"] > 4 * chance
    assert checkpoint.metrics["O2S_mAP"] > 4 * chance

    loaded = load_encoder(tmp_path / "checkpoint.pt")
    assert isinstance(loaded.module, CompactEncoder)
    assert not loaded.module.training
    vectors = embed_store(loaded.module, stores.validation, loaded.config.preprocess)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert cross_modal_scores(stores.validation, vectors) == pytest.approx(checkpoint.metrics)


def test_identity_training_lowers_its_loss(tmp_path: Path, stores: TrainingStores) -> None:
    settings = toy_config(tmp_path, REFERENCE, IDENTITIES, steps=30, validate_every=30)
    fit(EncoderTask(settings, stores), settings.run, settings.optimiser, settings)
    values = [float(value) for value in losses(tmp_path)]
    assert np.mean(values[-5:]) < 0.9 * np.mean(values[:5])


@pytest.mark.parametrize(
    ("objective", "reason"),
    [
        ({**PAIRS, "pairs": 49}, "objective.pairs: 49 exceeds the 48 training ships"),
        ({**IDENTITIES, "identities": 49}, "objective.identities: 49 exceeds the 48"),
    ],
    ids=["pairs", "identities"],
)
def test_a_batch_of_more_ships_than_the_data_have_is_refused(
    tmp_path: Path, stores: TrainingStores, objective: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason) as raised:
        EncoderTask(toy_config(tmp_path, ENCODER, objective), stores)
    assert "\n" not in str(raised.value)


def test_identity_batches_of_an_odd_number_of_chips_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="multiple of 2"):
        toy_config(tmp_path, ENCODER, {**IDENTITIES, "chips": 3})


def test_layouts_are_turned_with_the_chip(stores: TrainingStores, tmp_path: Path) -> None:
    settings = toy_config(tmp_path, ENCODER, PAIRS)
    batch = EncoderTask(settings, stores).batch(0, 0)
    assert batch.layout is not None
    assert stores.train.layouts is not None
    deck = batch.layout[:, 0].repeat_interleave(4, 1)
    rows = batch.pixels.mean((1, 3))
    agreement = [np.corrcoef(deck[i], rows[i])[0, 1] for i in range(len(rows))]
    own = stores.train.layouts[batch.vessel.numpy()]
    turned = ~(batch.layout.numpy() == own).all((1, 2))
    assert 0 < turned.sum() < len(rows)
    assert np.median(agreement) > 0.5


def test_only_some_of_many_ships_held_out_of_hoss_choose_the_checkpoint(
    tmp_path: Path, stores: TrainingStores
) -> None:
    many = toy_store(tmp_path, 200, 60)
    settings = toy_config(tmp_path, ENCODER, PAIRS)
    task = EncoderTask(settings, TrainingStores(stores.train, many, "digest"))
    assert task.choosing is not None
    choosing = task.choosing.vessels
    assert len(choosing) == 20
    assert choosing < set(many.vessels.tolist())
    model = task.model.eval()
    assert isinstance(model, TrainedModel)
    vectors = embed_store(model.encoder, many, settings.encoder.preprocess)
    scores = task.validate(model)
    assert scores != cross_modal_scores(many, vectors)
    vectors[~np.isin(many.chips["vessel"], list(choosing))] = 0  # the others do not matter
    assert scores == pytest.approx(cross_modal_scores(many, vectors, choosing))


def test_a_run_starts_from_the_encoder_of_its_initial_checkpoint(
    tmp_path: Path, stores: TrainingStores
) -> None:
    first = toy_config(tmp_path / "first", REFERENCE, {**PAIRS, "layout": 0.0})
    trained = fit(EncoderTask(first, stores), first.run, first.optimiser, first)
    path = tmp_path / "first" / "checkpoint.pt"
    second = toy_config(tmp_path / "second", REFERENCE, IDENTITIES).model_copy(
        update={"initial": path}
    )
    model = EncoderTask(second, stores).model
    encoder = model.get_submodule("encoder")
    assert isinstance(encoder, ReferenceEncoder)
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, trained.ema[f"encoder.{name}"]), name

    sizeless = toy_config(tmp_path / "sizeless", {**REFERENCE, "size_token": False}, PAIRS)
    trained = fit(EncoderTask(sizeless, stores), sizeless.run, sizeless.optimiser, sizeless)
    started = second.model_copy(update={"initial": tmp_path / "sizeless" / "checkpoint.pt"})
    state = EncoderTask(started, stores).model.state_dict()
    assert torch.equal(state["encoder.pos_embed"], trained.ema["encoder.pos_embed"])
    assert "encoder.size_embed.weight" in state

    other = toy_config(tmp_path / "other", ENCODER, PAIRS).model_copy(update={"initial": path})
    with pytest.raises(EncoderLoadError, match="a different encoder"):
        EncoderTask(other, stores)


@pytest.mark.parametrize("objective", [PAIRS, IDENTITIES], ids=["pairs", "identities"])
def test_losses_are_computed_at_full_precision(
    tmp_path: Path, stores: TrainingStores, objective: dict[str, Any]
) -> None:
    task = EncoderTask(toy_config(tmp_path, REFERENCE, objective), stores)
    batch = task.batch(0, 0)
    seen: list[dict[str, torch.Tensor]] = []
    task.model.register_forward_hook(lambda _model, _inputs, outputs: seen.append(outputs))
    with torch.autocast("cpu", torch.bfloat16):
        loss = task.loss(task.model, batch)["loss"]
    if isinstance(task.config.objective, IdentityObjective):
        expected = identity_objective(seen[0], batch, task.config.objective)
    else:
        expected = pair_objective(seen[0], batch.vessel, task.config.objective)
    assert torch.equal(loss, expected["loss"])


def test_the_config_of_a_published_vit_trains_on_simulated_ships(
    tmp_path: Path, stores: TrainingStores
) -> None:
    shipped = load_config(TRAINING_CONFIGS / "simulation-vit.yaml", EncoderTrainConfig)
    small = toy_config(tmp_path, REFERENCE, PAIRS, steps=2, validate_every=2)
    encoder = ReferenceConfig.model_validate({**REFERENCE, "drop_path": 0.1})
    path, width = tmp_path / "vit.pth", encoder.width
    published = {
        "pos_embed": torch.randn(1, 1 + 9, width),  # of 3 x 3 patches
        "head.weight": torch.randn(10, width),
        **{
            name: torch.randn_like(value)
            for name, value in ReferenceEncoder(encoder).state_dict().items()
            if not name.startswith(("pos_embed", "patch_embed_sar", "size_embed", "modality"))
        },
    }
    torch.save(published, path)
    objective = shipped.objective.model_copy(update={"pairs": 8})
    changes = {"run": small.run, "encoder": encoder, "objective": objective, "initial": path}
    settings = shipped.model_copy(update=changes)
    trained = fit(EncoderTask(settings, stores), settings.run, settings.optimiser, settings)
    assert {"infonce", "layout"} <= {row["name"] for row in logged(tmp_path)}
    for name in ("cls_token", "patch_embed.proj.weight", "blocks.0.mlp.fc2.weight"):
        moved = (trained.model[f"encoder.{name}"] - published[name]).abs().max()
        assert 0 < moved < 0.01, name
    sar = trained.model["encoder.patch_embed_sar.proj.weight"]
    assert torch.allclose(sar, published["patch_embed.proj.weight"], atol=0.01)


def test_a_file_that_is_no_encoder_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    Checkpoint(config={"run": 1}, data_digest="", commit=None).save(path)
    with pytest.raises(EncoderLoadError, match="not a checkpoint of an encoder run"):
        load_encoder(path)


@pytest.mark.parametrize(("ships", "own"), [(12, 6), (4, 2)])
def test_a_batch_mixes_confirmed_ships_with_simulated_ones(
    tmp_path: Path, ships: int, own: int
) -> None:
    mixed = archive_config(tmp_path, write_archive(tmp_path / "archive", ships))
    stores = open_stores(mixed.data, mixed.encoder.preprocess)
    task = EncoderTask(mixed, stores)
    batch = task.batch(0, 0)
    optical, sar = batch.vessel.chunk(2)
    assert optical.tolist() == sar.tolist()
    assert len(set(optical.tolist())) == 12
    assert len(optical[optical < optical[:own].max() + 1]) == own
    assert batch.modality.tolist() == [0] * 12 + [1] * 12
    assert set(task.validate(task.model.eval())) >= {"mAP", "replay_mAP"}


def test_an_archive_is_not_learnt_from_by_identities(tmp_path: Path) -> None:
    mixed = archive_config(tmp_path, write_archive(tmp_path / "archive", 8))
    objective = IdentityObjective(kind="identities", identities=2, chips=2)
    wrong = mixed.model_copy(update={"objective": objective})
    with pytest.raises(ConfigError, match="kind: pairs"):
        EncoderTask(wrong, open_stores(wrong.data, wrong.encoder.preprocess))
