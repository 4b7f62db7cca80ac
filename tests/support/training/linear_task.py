"""A linear regression for torchrun: `-m tests.support.training.linear_task OUT STEPS`."""

import gc
import sys
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from model_training.training.checkpoint import Checkpoint
from model_training.training.config import RunConfig, TypedConfig
from model_training.training.optimiser import OptimiserConfig
from model_training.training.run import fit
from model_training.training.seeds import step_generator

STEPS = 6


class LinearConfig(TypedConfig):
    run: RunConfig
    optimiser: OptimiserConfig = OptimiserConfig(lr=0.05, warmup_steps=0)


class LinearTask:
    data_digest = "linear"

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model: nn.Module = nn.Linear(3, 1)

    def batch(self, step: int, rank: int) -> Tensor:
        return torch.from_numpy(step_generator(0, step, rank).normal(size=(8, 3))).float()

    def loss(self, model: nn.Module, batch: Tensor) -> dict[str, Tensor]:
        return {"loss": (model(batch)[:, 0] - batch.sum(1)).square().mean()}

    def validate(self, model: nn.Module) -> dict[str, float]:
        return {"weight": float(next(model.parameters()).sum())}


def linear_config(out: Path) -> LinearConfig:
    run = RunConfig(
        out=out, steps=STEPS, device="cpu", checkpoint_every=2, validate_every=STEPS, log_every=1
    )
    return LinearConfig(run=run)


def run(out: Path, stop_at: int) -> Checkpoint:
    config = linear_config(out)
    return fit(LinearTask(), config.run, config.optimiser, config, stop_at=stop_at)


def gloo_threads() -> list[str]:
    """Return the names of this process's native threads that serve a process group."""
    names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    return [name for name in names if "gloo" in name]


def destroy_last_reference() -> None:
    """Destroy the process group after checking that no DDP, which holds it too, is left."""
    left = [one for one in gc.get_objects() if type(one) is DistributedDataParallel]
    assert not left, "DDP would wait for gloo's threads with the interpreter lock held"
    destroy()


if __name__ == "__main__":
    destroy = distributed.destroy_process_group
    with mock.patch.object(distributed, "destroy_process_group", destroy_last_reference):
        run(Path(sys.argv[1]), int(sys.argv[2]))
    assert not gloo_threads(), f"the process group outlives the run: {gloo_threads()}"
