"""Training runs of the translator: resuming, checkpoints, configs."""

from pathlib import Path

import pytest
import torch

from model_training.encoder.train_config import SimulatedData
from model_training.training.checkpoint import Checkpoint
from model_training.training.config import RunConfig, load_config
from model_training.training.optimiser import OptimiserConfig
from model_training.training.run import fit
from model_training.translator.dataset import PairedViews
from model_training.translator.diffusion import BridgeConfig
from model_training.translator.train import (
    DistilConfig,
    TranslatorConfig,
    TranslatorTask,
    load_translator,
)
from model_training.translator.unet import UNetConfig
from tests.support.paths import TRAINING_CONFIGS


def config(out: Path, steps: int = 6) -> TranslatorConfig:
    return TranslatorConfig(
        run=RunConfig(
            out=out,
            steps=steps,
            device="cpu",
            threads=1,
            log_every=1,
            checkpoint_every=3,
            validate_every=steps,
            select_by="pair_auc",
        ),
        optimiser=OptimiserConfig(warmup_steps=2),
        unet=UNetConfig(height=32, width=16, widths=(16, 32), heads=2),
        bridge=BridgeConfig(steps=2),
        data=SimulatedData(
            kind="simulated", folder=out / "fleet", seed=0, validation_seed=1, vessels=100
        ),
        batch=4,
    )


def task(settings: TranslatorConfig, views: PairedViews) -> TranslatorTask:
    """Make a task with nine training and three validation vessels."""
    return TranslatorTask(
        settings, views.only(views.vessels[:9]), views.only(views.vessels[9:]), "digest"
    )


def losses(out: Path) -> list[str]:
    rows = (out / "metrics.csv").read_text().splitlines()
    return [row for row in rows if ",train,loss," in row]


def test_a_killed_run_resumes_to_equal_losses(views: PairedViews, tmp_path: Path) -> None:
    whole, parts = config(tmp_path / "whole"), config(tmp_path / "parts")
    fit(task(whole, views), whole.run, whole.optimiser, whole)
    fit(task(parts, views), parts.run, parts.optimiser, parts, stop_at=3)
    fit(task(parts, views), parts.run, parts.optimiser, parts)
    assert len(losses(whole.run.out)) == 6
    assert losses(whole.run.out) == losses(parts.run.out)
    finished = [Checkpoint.load(path.run.out / "checkpoint.pt") for path in (whole, parts)]
    for name, value in finished[0].ema.items():
        assert torch.equal(value, finished[1].ema[name]), name


def test_a_loaded_translator_has_the_averaged_weights(views: PairedViews, tmp_path: Path) -> None:
    settings = config(tmp_path)
    stored = fit(task(settings, views), settings.run, settings.optimiser, settings)
    loaded = load_translator(tmp_path / "checkpoint.pt")
    assert not loaded.module.training
    assert loaded.config == settings
    assert (loaded.height, loaded.width) == (32, 16)
    assert loaded.table() == BridgeConfig(steps=2).table()
    for name, value in loaded.module.state_dict().items():
        assert torch.equal(value, stored.ema[name])
    assert loaded.metadata["step"] == 6
    assert loaded.metadata["data_digest"] == stored.data_digest
    assert set(loaded.metadata["metrics"]) == {"sample_l1", "pair_auc"}


def test_training_starts_from_another_translator(views: PairedViews, tmp_path: Path) -> None:
    first = config(tmp_path / "pretrained")
    fit(task(first, views), first.run, first.optimiser, first)
    path = tmp_path / "pretrained" / "checkpoint.pt"
    second = config(tmp_path / "tuned").model_copy(update={"initial": path})
    tuned = task(second, views)
    expected = load_translator(path).module.state_dict()
    for name, value in tuned.model.state_dict().items():
        assert torch.equal(value, expected[name])


def test_a_batch_is_a_function_of_step_and_rank(views: PairedViews, tmp_path: Path) -> None:
    trained = task(config(tmp_path), views)
    assert torch.equal(trained.batch(5, 0).x0, trained.batch(5, 0).x0)
    assert not torch.equal(trained.batch(5, 0).x0, trained.batch(6, 0).x0)
    assert not torch.equal(trained.batch(5, 0).x0, trained.batch(5, 1).x0)


@pytest.mark.parametrize(
    "path", sorted(TRAINING_CONFIGS.glob("translator*.yaml")), ids=lambda p: p.stem
)
def test_the_shipped_configs_are_valid(path: Path) -> None:
    schema = DistilConfig if "distil" in path.stem else TranslatorConfig
    assert load_config(path, schema).run.steps > 0


def test_the_shipped_student_fits_its_teacher() -> None:
    student = load_config(TRAINING_CONFIGS / "translator-distil.yaml", DistilConfig)
    teacher = load_config(TRAINING_CONFIGS / "translator-simulation.yaml", TranslatorConfig)
    assert student.initial == teacher.run.out / "checkpoint.pt"
    assert student.teacher_steps == teacher.bridge.steps
    assert student.unet == teacher.unet
    assert student.data == teacher.data


def test_the_translator_that_draws_pictures_goes_on_from_the_one_that_samples() -> None:
    pictures = load_config(TRAINING_CONFIGS / "translator-picture.yaml", TranslatorConfig)
    samples = load_config(TRAINING_CONFIGS / "translator-simulation.yaml", TranslatorConfig)
    assert pictures.initial == samples.run.out / "checkpoint.pt"
    assert pictures.unet == samples.unet
    assert pictures.bridge.steps == 1


def test_translator_configs_are_shipped() -> None:
    assert list(TRAINING_CONFIGS.glob("translator*.yaml"))
