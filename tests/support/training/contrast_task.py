"""InfoNCE over few ships for torchrun: `-m tests.support.training.contrast_task OUT`."""

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from model_training.encoder.train import pair_objective
from model_training.encoder.train_config import PairObjective
from model_training.training.config import RunConfig, TypedConfig
from model_training.training.optimiser import OptimiserConfig
from model_training.training.run import fit
from model_training.training.seeds import step_generator

STEPS, PAIRS, SHIPS = 4, 6, 9
Batch = tuple[Tensor, Tensor]


class ContrastConfig(TypedConfig):
    run: RunConfig
    optimiser: OptimiserConfig = OptimiserConfig(kind="sgd", lr=0.3, warmup_steps=0, clip_norm=None)
    objective: PairObjective = PairObjective(kind="pairs", initial_logit_scale=4.0)


class Projection(nn.Module):
    def __init__(self, config: ContrastConfig) -> None:
        super().__init__()
        self.project = nn.Linear(5, 4)
        self.log_scale = nn.Parameter(torch.tensor(config.objective.initial_logit_scale).log())

    def forward(self, chips: Tensor) -> dict[str, Tensor]:
        return {"embedding": self.project(chips), "log_scale": self.log_scale}


class ContrastTask:
    """Contrast of 6 of 9 ships per process, so that two processes have some ships in common."""

    data_digest = "contrast"

    def __init__(self, config: ContrastConfig) -> None:
        torch.manual_seed(0)
        self.config = config
        self.model: nn.Module = Projection(config)

    def batch(self, step: int, rank: int) -> Batch:
        rng = step_generator(0, step, rank)
        chips = torch.from_numpy(rng.normal(size=(2 * PAIRS, 5))).float()
        ships = torch.from_numpy(rng.permutation(SHIPS)[:PAIRS])
        return chips, ships.repeat(2)

    def loss(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        chips, ships = batch
        return pair_objective(model(chips), ships, self.config.objective)

    def validate(self, model: nn.Module) -> dict[str, float]:
        return {}


def contrast_config(out: Path) -> ContrastConfig:
    return ContrastConfig(run=RunConfig(out=out, steps=STEPS, device="cpu", log_every=1))


if __name__ == "__main__":
    config = contrast_config(Path(sys.argv[1]))
    fit(ContrastTask(config), config.run, config.optimiser, config)
