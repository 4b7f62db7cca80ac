"""The outputs of a run: checkpoints, averaged weights, metric logs."""

import contextlib
import csv
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter


@dataclass(slots=True)
class Checkpoint:
    """The state of a run after some steps.

    Attributes:
        commit: git commit of the code, with `+changes` if the tree was not clean; None outside a
            repository.
        best: the metrics of the best validation so far.
        model, ema, optimiser: state dictionaries; `ema` has the keys of `model`.
    """

    config: dict[str, Any]
    data_digest: str
    commit: str | None
    step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    best: dict[str, float] = field(default_factory=dict)
    best_step: int = 0
    model: dict[str, Tensor] = field(default_factory=dict)
    ema: dict[str, Tensor] = field(default_factory=dict)
    optimiser: dict[str, Any] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the file atomically: after a crash either the old or the new file exists."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        # not asdict, which would copy every tensor
        content = {name: getattr(self, name) for name in self.__dataclass_fields__}
        with partial.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Read a checkpoint onto the CPU; only tensors and plain values are accepted."""
        return cls(**torch.load(path, map_location="cpu", weights_only=True))


def current_commit() -> str | None:
    """Return the git commit of this code, with `+changes` if tracked files differ from it.

    Outside a repository, or without git, None is returned.
    """
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=here, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        return commit + ("+changes" if git("status", "--porcelain", "-uno", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


class Ema:
    """Exponential moving average of a model's state; integer counters are copied.

    The decay grows as (1 + step) / (10 + step) up to `decay`, so that early averages are not
    dominated by the initial weights.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.average = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Add the model's state after step `step` to the average."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1 - decay)
            else:
                self.average[name].copy_(value)

    @contextlib.contextmanager
    def applied_to(self, model: nn.Module) -> Iterator[nn.Module]:
        """Give the model the averaged weights for the duration of the block."""
        own = {name: value.detach().clone() for name, value in model.state_dict().items()}
        model.load_state_dict(self.average)
        try:
            yield model
        finally:
            model.load_state_dict(own)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the averages, named like the model's state."""
        return self.average

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Replace the averages by stored ones."""
        for name, value in self.average.items():
            value.copy_(state[name])


class MetricLog:
    """`metrics.csv` (step, split, name, value) and TensorBoard events in a run directory.

    Args:
        from_step: rows after this step are dropped; they were written after the last checkpoint of
            a killed run and will be written again.
    """

    def __init__(self, out: Path, from_step: int) -> None:
        out.mkdir(parents=True, exist_ok=True)
        path = out / "metrics.csv"
        earlier = []
        if path.exists():
            with path.open(newline="") as file:
                earlier = [row for row in list(csv.reader(file))[1:] if int(row[0]) <= from_step]
        self.file = path.open("w", newline="")
        self.rows = csv.writer(self.file)
        self.rows.writerow(["step", "split", "name", "value"])
        self.rows.writerows(earlier)
        self.file.flush()
        self.board = SummaryWriter(str(out / "tensorboard"), purge_step=from_step + 1)

    def write(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Append a row per value and flush."""
        for name, value in values.items():
            self.rows.writerow([step, split, name, f"{value:.9g}"])
            self.board.add_scalar(f"{split}/{name}", value, step)
        self.file.flush()

    def close(self) -> None:
        """Close both logs."""
        self.file.close()
        self.board.close()


def read_metric(out: Path, split: str, name: str) -> dict[int, float]:
    """Return a metric of a run directory by step, as `metrics.csv` holds it."""
    with (out / "metrics.csv").open(newline="") as file:
        return {
            int(row["step"]): float(row["value"])
            for row in csv.DictReader(file)
            if (row["split"], row["name"]) == (split, name)
        }
