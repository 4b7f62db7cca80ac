"""Distillation: targets that reach the teacher's states, resuming, and refused configs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from model_training.training.checkpoint import Checkpoint
from model_training.training.config import ConfigError
from model_training.training.run import fit
from model_training.translator.dataset import PairedViews, draw_batch
from model_training.translator.diffusion import BridgeBatch, BridgeConfig, sample_many
from model_training.translator.distil import (
    DistilTask,
    distil_translator,
    make_jumps,
    start_states,
    teacher_targets,
)
from model_training.translator.schedule import coefficient_table
from model_training.translator.train import DistilConfig, TranslatorConfig, load_translator
from model_training.translator.unet import BridgeUNet
from service.contract.bridge import reverse_bridge

UNET = {"height": 32, "width": 16, "widths": [16, 32], "heads": 2}
DATA = {"kind": "simulated", "folder": "fleet", "seed": 0, "validation_seed": 1, "vessels": 100}


def bridge(steps: int) -> BridgeConfig:
    return BridgeConfig(steps=steps, eta=0.0)


def batch_of(views: PairedViews, steps: int, count: int = 8) -> BridgeBatch:
    config = bridge(steps).model_copy(update={"sampler_share": 1.0})
    return draw_batch(views, config, 1, count, np.random.default_rng(0))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a translator with random weights as a run for four steps would."""
    path = tmp_path_factory.mktemp("teacher") / "checkpoint.pt"
    config = TranslatorConfig.model_validate(
        {"run": {"out": "runs/t", "steps": 1}, "unet": UNET, "bridge": {"steps": 4}, "data": DATA}
    )
    torch.manual_seed(0)
    module = BridgeUNet(config.unet)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    Checkpoint(config.model_dump(mode="json"), "d", None, ema=module.state_dict()).save(path)
    return path


def config(out: Path, teacher: Path, **changes: Any) -> DistilConfig:
    return DistilConfig.model_validate(
        {
            "run": {
                "out": out,
                "steps": 6,
                "device": "cpu",
                "threads": 1,
                "log_every": 1,
                "checkpoint_every": 3,
                "validate_every": 6,
                "ema_decay": 0.9,
            },
            "optimiser": {"lr": 2e-3, "warmup_steps": 2},
            "unet": UNET,
            "bridge": {"steps": 1, "eta": 0.0},
            "data": DATA,
            "batch": 4,
            "initial": teacher,
            "teacher_steps": 4,
        }
        | changes
    )


def task(settings: DistilConfig, views: PairedViews) -> DistilTask:
    return DistilTask(
        settings, views.only(views.vessels[:9]), views.only(views.vessels[9:]), "digest"
    )


def test_each_student_step_replaces_an_equal_share_of_the_teachers_steps() -> None:
    assert [
        (jump.student.t, [step.t for step in jump.teacher]) for jump in make_jumps(bridge(2), 4)
    ] == [(999, [999, 749]), (500, [500, 250])]
    (whole,) = make_jumps(bridge(1), 4)
    assert list(whole.teacher) == coefficient_table(bridge(1).schedule(), 4, eta=0.0)


@pytest.mark.parametrize("steps", [1, 2])
def test_the_targets_of_a_perfect_teacher_are_the_sar_pictures(
    views: PairedViews, steps: int
) -> None:
    batch = batch_of(views, steps)
    numbered = torch.arange(len(batch.t))[:, None, None, None].expand_as(batch.condition)
    batch = replace(batch, condition=numbered.float())

    class PerfectTeacher(nn.Module):
        def forward(self, x_t: Tensor, condition: Tensor, _: Tensor) -> Tensor:
            return x_t - batch.x0[condition[:, 0, 0, 0].long()]

    x_t = start_states(bridge(steps), batch)
    targets = teacher_targets(PerfectTeacher(), make_jumps(bridge(steps), 4), batch, x_t)
    assert torch.allclose(targets, batch.x0, atol=1e-3)


def test_a_one_step_target_is_the_teachers_final_picture(views: PairedViews, teacher: Path) -> None:
    module = load_translator(teacher).module
    batch = batch_of(views, 1)
    x_t = start_states(bridge(1), batch)
    assert torch.equal(x_t, batch.y)
    targets = teacher_targets(module, make_jumps(bridge(1), 4), batch, x_t)

    def predict(x: Tensor, t: int) -> Tensor:
        grad: Tensor = module(x, batch.condition, torch.full((len(x),), t))
        return grad

    table = coefficient_table(bridge(1).schedule(), 4, eta=0.0)
    with torch.no_grad():
        final = reverse_bridge(predict, batch.y, table, lambda: torch.zeros(()))
        one_step = batch.y - module(batch.y, batch.condition, batch.t)
    assert torch.allclose(targets, final, atol=1e-5)
    assert (targets - one_step).abs().mean() > 0.01


def test_one_student_step_reaches_the_state_of_two_teacher_steps(
    views: PairedViews, teacher: Path
) -> None:
    module = load_translator(teacher).module
    batch, jumps = batch_of(views, 2), make_jumps(bridge(2), 4)
    x_t = start_states(bridge(2), batch)
    later = batch.t == 500
    assert 0 < later.sum() < len(later)
    assert not torch.equal(x_t[later], batch.y[later])
    targets = teacher_targets(module, jumps, batch, x_t)
    first = jumps[0]
    rows = ~later
    x = x_t[rows]
    with torch.no_grad():
        for step in first.teacher:
            grad = module(x, batch.condition[rows], torch.full((len(x),), step.t))
            x = step.a * (x - grad) + step.b * batch.y[rows] + step.c * x
    step = first.student
    reached = step.a * targets[rows] + step.b * batch.y[rows] + step.c * x_t[rows]
    assert torch.allclose(reached, x, atol=1e-5)


def test_training_brings_the_student_nearer_to_the_teacher(
    views: PairedViews, teacher: Path, tmp_path: Path
) -> None:
    run = {"out": tmp_path, "steps": 40, "device": "cpu", "threads": 1, "ema_decay": 0.5}
    settings = config(tmp_path, teacher, run=run)
    fit(task(settings, views), settings.run, settings.optimiser, settings)
    student = load_translator(tmp_path / "checkpoint.pt")
    assert student.config == settings
    assert (student.config.bridge.steps, student.config.bridge.eta) == (1, 0.0)
    start, conditions = load_translator(teacher).module, batch_of(views, 1).condition
    expected = sample_many(start, conditions, bridge(4).table(), 0, 1).astype(float)
    gaps = [
        np.abs(sample_many(module, conditions, bridge(1).table(), 0, 1) - expected).mean()
        for module in (start, student.module)
    ]
    assert gaps[1] < 0.6 * gaps[0]


def test_a_killed_run_resumes_to_equal_losses(
    views: PairedViews, teacher: Path, tmp_path: Path
) -> None:
    whole, parts = config(tmp_path / "whole", teacher), config(tmp_path / "parts", teacher)
    fit(task(whole, views), whole.run, whole.optimiser, whole)
    fit(task(parts, views), parts.run, parts.optimiser, parts, stop_at=3)
    fit(task(parts, views), parts.run, parts.optimiser, parts)
    logs = [(settings.run.out / "metrics.csv").read_text() for settings in (whole, parts)]
    assert logs[0] == logs[1]
    assert logs[0].count(",train,loss,") == 6


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"teacher_steps": 3, "bridge": {"steps": 2, "eta": 0.0}}, "let teacher_steps be a mult"),
        ({"teacher_steps": 2, "bridge": {"steps": 2, "eta": 0.0}}, "less than teacher_steps .2."),
        ({"bridge": {"steps": 1}}, "set bridge.eta to 0, not 1"),
        ({"initial": None}, "initial"),
    ],
)
def test_steps_and_noise_that_do_not_fit_the_teacher_are_refused(
    teacher: Path, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValidationError, match=reason):
        config(tmp_path, teacher, **changes)


def test_another_network_or_bridge_or_no_teacher_is_refused(
    views: PairedViews, teacher: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="network differs from unet"):
        task(config(tmp_path, teacher, unet={**UNET, "widths": [16, 16]}), views)
    with pytest.raises(ConfigError, match="bridge has times 1000"):
        task(config(tmp_path, teacher, bridge={"steps": 1, "eta": 0.0, "times": 500}), views)
    with pytest.raises(ConfigError, match="there is no teacher at"):
        distil_translator(config(tmp_path, tmp_path / "none.pt"))
