"""A bundle's training description follows from its checkpoints."""

from pathlib import Path
from typing import Any

import pytest
import torch

from export.checkpoints import (
    describe_objective,
    earlier_kinds,
    encoder_part,
    pretrained_licences,
    require_file,
    training_spec,
    translator_part,
    with_kept_translator,
)
from model_training.encoder import build_encoder
from model_training.encoder.loading import LoadedEncoders, load_encoders
from model_training.encoder.train_config import EncoderTrainConfig, IdentityObjective, PairObjective
from model_training.training.checkpoint import Checkpoint
from model_training.translator.schedule import BridgeSchedule, coefficient_table
from model_training.translator.train import LoadedTranslator, TranslatorConfig, load_translator
from model_training.translator.unet import BridgeUNet

HOSS = {"kind": "hoss", "folder": "hoss", "cache": "cache"}
FLEET = {
    "kind": "simulated",
    "folder": "fleet",
    "seed": 5,
    "validation_seed": 6,
    "vessels": 300,
    "validation_vessels": 100,
}
ENCODER = {
    "kind": "reference",
    "preprocess": {"height": 32, "width": 16},
    "width": 16,
    "depth": 1,
    "heads": 2,
}


def save(path: Path, config: Any, weights: dict[str, Any], step: int) -> Path:
    Checkpoint(
        config=config.model_dump(mode="json"),
        data_digest="d" * 64,
        commit="c" * 40,
        step=step,
        model=weights,
        ema=weights,
    ).save(path)
    return path


LITE = {
    "kind": "lite",
    "preprocess": {"height": 32, "width": 32},
    "grid_width": 8,
    "grid_blocks": 0,
    "width": 32,
    "depth": 0,
    "embedding_width": 8,
}


def encoder_checkpoint(
    path: Path,
    data: dict[str, Any],
    initial: Path | None = None,
    model: dict[str, Any] | None = None,
    **run: Any,
) -> Path:
    config = EncoderTrainConfig.model_validate(
        {
            "run": {"out": "runs/e", "steps": 9, "seed": 1, **run},
            "encoder": model or ENCODER,
            "data": data,
            "objective": {"kind": "pairs"},
            "initial": initial,
        }
    )
    module = build_encoder(config.encoder)
    weights = {f"encoder.{name}": value for name, value in module.state_dict().items()}
    return save(path, config, weights, step=config.run.steps)


def encoder(path: Path, data: dict[str, Any], initial: Path | None = None) -> LoadedEncoders:
    return load_encoders([encoder_checkpoint(path, data, initial)])


def translator(path: Path, data: dict[str, Any], **bridge: Any) -> LoadedTranslator:
    config = TranslatorConfig.model_validate(
        {
            "run": {"out": "runs/t", "steps": 7, "seed": 2},
            "unet": {"height": 32, "width": 16, "widths": [8, 16], "heads": 1},
            "bridge": {"steps": 2, "eta": 0.5, "times": 500, **bridge},
            "data": data,
        }
    )
    return load_translator(save(path, config, BridgeUNet(config.unet).state_dict(), step=7))


def test_both_models_are_named_with_their_data(tmp_path: Path) -> None:
    spec = training_spec(encoder(tmp_path / "e.pt", FLEET), translator(tmp_path / "t.pt", FLEET))
    assert spec.domain == "simulated"
    assert spec.datasets == ("simulated fleet, seed 5",)
    assert "The encoder, `reference`, learnt from 300 simulated ships" in spec.description
    assert "9 steps, by InfoNCE over optical-SAR pairs." in spec.description
    assert "The translator learnt from 300 simulated ships" in spec.description
    assert spec.seeds == (1, 2)
    assert (spec.commit, spec.data_digest) == ("c" * 40, "d" * 64)


def test_weights_from_imagenet_are_named_with_their_licence(tmp_path: Path) -> None:
    started = load_encoders([encoder_checkpoint(tmp_path / "e.pt", FLEET, model=LITE)])
    assert "EfficientNet-Lite0 weights for ImageNet" in training_spec(started, None).description
    assert [text.split(",")[0] for text in pretrained_licences(started).values()] == ["Apache-2.0"]
    scratch = {**LITE, "pretrained": False}
    fresh = load_encoders([encoder_checkpoint(tmp_path / "f.pt", FLEET, model=scratch)])
    assert "ImageNet" not in training_spec(fresh, None).description
    assert pretrained_licences(fresh) == {}


def test_a_kept_translator_brings_what_was_said_of_its_training(tmp_path: Path) -> None:
    loaded = encoder(tmp_path / "e.pt", FLEET)
    older = training_spec(loaded, translator(tmp_path / "t.pt", HOSS))
    kept = with_kept_translator(training_spec(loaded, None), older)
    assert kept.description == older.description
    assert kept.domain == "simulated+hoss"
    assert kept.datasets == older.datasets


def test_losses_are_named_with_their_weights() -> None:
    pairs = PairObjective(kind="pairs", layout=0.5)
    assert describe_objective(pairs).endswith("pairs and the deck layout (weight 0.5)")
    identities = describe_objective(IdentityObjective(kind="identities"))
    assert identities.endswith("triplet and modality alignment (CMAL, weight 2)")
    unaligned = describe_objective(IdentityObjective(kind="identities", alignment=0.0))
    assert unaligned == "identity cross-entropy, batch-hard triplet"


def test_every_member_of_an_ensemble_is_named_with_its_run(tmp_path: Path) -> None:
    together = load_encoders(
        [
            encoder_checkpoint(tmp_path / "a.pt", FLEET, out="/home/someone/runs/first"),
            encoder_checkpoint(tmp_path / "b.pt", HOSS, out="runs/second", seed=5, steps=4),
        ]
    )
    spec = training_spec(together, None)
    assert [(run.run, run.seed, run.steps, run.dataset) for run in spec.encoders] == [
        ("first", 1, 9, "simulated fleet, seed 5"),
        ("second", 5, 4, "HOSS ReID layout"),
    ]
    assert {(run.commit, run.data_digest) for run in spec.encoders} == {("c" * 40, "d" * 64)}
    assert (spec.commit, spec.data_digest) == ("c" * 40, "d" * 64)
    assert spec.domain == "simulated+hoss"
    assert spec.seeds == (1, 5)
    assert "that of 2 encoders, averaged by cosine" in spec.description
    assert "Encoder `first`, `reference`, learnt from 300 simulated ships" in spec.description
    part = encoder_part(together)
    assert part.embedding_width == 2 * 16
    assert part.preprocess == together.members[1].config.preprocess


def test_commits_and_digests_that_differ_are_given_per_member_only(tmp_path: Path) -> None:
    paths = [encoder_checkpoint(tmp_path / name, FLEET) for name in ("a.pt", "b.pt")]
    changed = Checkpoint.load(paths[1])
    changed.data_digest, changed.commit = "e" * 64, None
    changed.save(paths[1])
    spec = training_spec(load_encoders(paths), None)
    assert (spec.commit, spec.data_digest) == (None, None)
    assert [run.data_digest for run in spec.encoders] == ["d" * 64, "e" * 64]
    assert [run.commit for run in spec.encoders] == ["c" * 40, None]


def test_the_domain_names_the_data_of_all_runs(tmp_path: Path) -> None:
    first = tmp_path / "first.pt"
    encoder(first, HOSS)
    second = encoder(tmp_path / "second.pt", FLEET, initial=first)
    spec = training_spec(second, None)
    assert spec.domain == "simulated+hoss"
    assert "started from the weights of an earlier run" in spec.description
    mixed = training_spec(encoder(tmp_path / "e.pt", FLEET), translator(tmp_path / "t.pt", HOSS))
    assert mixed.domain == "simulated+hoss"
    assert earlier_kinds(tmp_path / "gone.pt") == ["unknown"]


def test_a_start_from_published_weights_is_named(tmp_path: Path) -> None:
    names = ("cls_token", "pos_embed", "patch_embed.proj.weight")
    weights = {name: torch.zeros(1) for name in names}
    torch.save(weights, tmp_path / "vit.pth")
    torch.save(
        {f"base.{name}": torch.zeros(1) for name in (*names, "patch_embed_SAR.proj.weight")},
        tmp_path / "transoss.pth",
    )
    spec = training_spec(encoder(tmp_path / "a.pt", HOSS, initial=tmp_path / "vit.pth"), None)
    assert spec.domain == "hoss+imagenet"
    assert "It started from ImageNet weights" in spec.description
    spec = training_spec(encoder(tmp_path / "b.pt", HOSS, initial=tmp_path / "transoss.pth"), None)
    assert spec.domain == "hoss+published"
    assert "weights published by the authors of TransOSS or MOS" in spec.description


def test_a_translator_is_sampled_in_the_trained_or_in_the_given_number_of_steps(
    tmp_path: Path,
) -> None:
    loaded = translator(tmp_path / "t.pt", FLEET)
    schedule = BridgeSchedule(500, 1.0)
    assert list(translator_part(loaded).steps) == coefficient_table(schedule, 2, 0.5)
    assert list(translator_part(loaded, steps=1).steps) == coefficient_table(schedule, 1, 0.5)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no checkpoint of an encoder at"):
        require_file(tmp_path / "none.pt", "checkpoint of an encoder")
