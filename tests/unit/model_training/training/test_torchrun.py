"""Two processes started by torchrun train one model."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from model_training.encoder.losses import pair_infonce
from model_training.simulator import SimulatorConfig, write_dataset
from model_training.training.checkpoint import Checkpoint
from model_training.training.optimiser import build_optimiser, learning_rate
from tests.support.paths import ROOT
from tests.support.training.contrast_task import ContrastTask, contrast_config
from tests.support.training.linear_task import STEPS, LinearTask, linear_config


def torchrun(*arguments: str) -> None:
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*start, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def rows(out: Path, name: str) -> list[float]:
    with (out / "metrics.csv").open() as file:
        return [float(row["value"]) for row in csv.DictReader(file) if row["name"] == name]


def test_two_processes_step_by_the_mean_of_their_gradients(tmp_path: Path) -> None:
    module = "tests.support.training.linear_task"
    torchrun("-m", module, str(tmp_path), "2")
    torchrun("-m", module, str(tmp_path), str(STEPS))  # continues the stopped run

    task, config = LinearTask(), linear_config(tmp_path)
    optimiser = build_optimiser(task.model, config.optimiser)
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(config.optimiser, step, STEPS) * group["lr_factor"]
        both = torch.cat([task.batch(step, rank) for rank in (0, 1)])
        optimiser.zero_grad()
        task.loss(task.model, both)["loss"].backward()  # type: ignore[no-untyped-call]
        if config.optimiser.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(task.model.parameters(), config.optimiser.clip_norm)
        optimiser.step()
    trained = Checkpoint.load(tmp_path / "checkpoint.pt")
    assert trained.step == STEPS
    for name, value in task.model.state_dict().items():
        torch.testing.assert_close(trained.model[name], value, atol=1e-6, rtol=1e-5)


def test_two_processes_contrast_the_pairs_of_both(tmp_path: Path) -> None:
    torchrun("-m", "tests.support.training.contrast_task", str(tmp_path))

    config = contrast_config(tmp_path)
    task = ContrastTask(config)
    optimiser = build_optimiser(task.model, config.optimiser)
    losses, repeated = [], 0
    for step in range(config.run.steps):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(config.optimiser, step, config.run.steps)
        drawn = [task.batch(step, rank) for rank in (0, 1)]
        outputs = [task.model(chips) for chips, _ in drawn]
        halves = [output["embedding"].chunk(2) for output in outputs]
        optical, sar = (torch.cat(rows) for rows in zip(*halves, strict=True))
        ships = torch.cat([vessel.chunk(2)[0] for _, vessel in drawn])
        repeated += len(ships) - len(set(ships.tolist()))
        loss = pair_infonce(optical, sar, outputs[0]["log_scale"].exp(), ships=ships)
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert repeated > 0
    assert rows(tmp_path, "loss") == pytest.approx(losses, rel=1e-5)
    trained = Checkpoint.load(tmp_path / "checkpoint.pt")
    for name, value in task.model.state_dict().items():
        torch.testing.assert_close(trained.model[name], value, atol=1e-6, rtol=1e-5)


def test_two_processes_train_an_encoder_on_chips_that_one_of_them_decodes(tmp_path: Path) -> None:
    folder = tmp_path / "simulated"
    ships = SimulatorConfig(vessels=24, optical_views=1, sar_views=1, test_fraction=0.2)
    write_dataset(ships, folder, workers=1)
    small = {"height": 64, "width": 16, "normalisation": "per_chip"}
    config: dict[str, Any] = {
        "run": {"out": str(tmp_path / "both"), "steps": 3, "device": "cpu", "log_every": 1},
        "encoder": {
            "kind": "compact",
            "preprocess": small,
            "stem_widths": [8, 8],
            "grid_width": 16,
            "width": 32,
            "depth": 1,
            "heads": 2,
            "embedding_width": 32,
        },
        "data": {"kind": "hoss", "folder": str(folder), "cache": str(tmp_path / "cache")},
        "objective": {"kind": "pairs", "pairs": 8},
    }
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps(config))
    torchrun("-m", "tests.support.training.train_encoder", str(path))

    config["run"]["out"] = str(tmp_path / "alone")
    path.write_text(json.dumps(config))
    command = [sys.executable, "-m", "tests.support.training.train_encoder", str(path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    together, single = (rows(tmp_path / out, "loss") for out in ("both", "alone"))
    assert len(together) == len(single) == 3
    assert together[0] > single[0] + 0.3  # the same start, but twice as many ships in the contrast
