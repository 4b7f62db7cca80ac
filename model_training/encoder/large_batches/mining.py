"""Find ships that the present encoder takes for each other, as negatives of a batch.

Type and length tell which ships are alike at first sight; the embeddings tell which ones the
encoder cannot distinguish yet. They are computed again every so many steps.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from model_training.data.samplers import PairSampler, Rows
from model_training.encoder.batches import Batch
from model_training.training.run import ResumeError

GROUP = 17
"""Ships of a group: one, and the 16 that resemble it most."""
_BATCH = 64

Embeddings = NDArray[np.float32]
"""Of one optical and one SAR chip of each ship: float32 `[2, V, D]`, unit rows."""


class Miner:
    """Draws groups of ships that the encoder takes for each other.

    At the first and at every `refresh_steps`-th step one optical and one SAR chip of each ship are
    embedded.

    Args:
        batch: returns the batch of given rows of the training chips.
        refresh_steps: a multiple of the steps between checkpoints, so that a run never resumes
            before the step of the embeddings on disk.
        file: where the embeddings are kept for a run that resumes between two refreshes.
    """

    def __init__(
        self,
        batch: Callable[[Sequence[int]], Batch],
        sampler: PairSampler,
        refresh_steps: int,
        file: Path,
        precision: str,
    ) -> None:
        self.batch, self.sampler, self.refresh_steps = batch, sampler, refresh_steps
        self.file, self.half = file, precision == "bfloat16"
        self._step: int | None = None
        self._embeddings: Embeddings | None = None

    def refresh(
        self, step: int, model: nn.Module, generator: np.random.Generator, *, keep: bool
    ) -> None:
        """Compute or read the embeddings that a step uses, where they are not at hand.

        Args:
            keep: write new embeddings to the file.

        Raises:
            ResumeError: the run resumes between two refreshes, and the file is missing.
        """
        due = step - step % self.refresh_steps
        if due == self._step:
            return
        if step == due:
            self._embeddings = self._embed(model, generator)
            if keep:
                self._save(due, self._embeddings)
        else:
            self._embeddings = self._load(due)
        self._step = due

    def group(self, generator: np.random.Generator) -> Rows:
        """Draw a ship; return it and the ships whose chips of the other sensor resemble it most.

        `refresh` was called before.
        """
        assert self._embeddings is not None
        vessels = self.sampler.by_likeness
        count = min(GROUP, len(vessels))
        ship, sensor = int(generator.integers(len(vessels))), int(generator.integers(2))
        similar = self._embeddings[1 - sensor] @ self._embeddings[sensor, ship]  # [V]
        nearest = np.argpartition(-similar, count - 1)[:count]
        group: Rows = vessels[np.unique(np.append(nearest, ship))]
        return group

    def _embed(self, model: nn.Module, generator: np.random.Generator) -> Embeddings:
        device = next(model.parameters()).device
        model.eval()
        both = []
        for chips in (self.sampler.optical, self.sampler.sar):
            rows = np.array(
                [generator.choice(chips[vessel]) for vessel in self.sampler.by_likeness]
            )
            vectors = []
            for start in range(0, len(rows), _BATCH):
                batch = self.batch(rows[start : start + _BATCH].tolist()).to(device)
                with (
                    torch.inference_mode(),
                    torch.autocast(device.type, torch.bfloat16, enabled=self.half),
                ):
                    pixels = batch.pixels.contiguous(memory_format=torch.channels_last)
                    embedded = model(pixels, batch.modality, batch.size)["embedding"]
                vectors.append(F.normalize(embedded.float(), dim=1).cpu().numpy())
            both.append(np.concatenate(vectors))
        model.train()
        return np.stack(both)

    def _save(self, step: int, embeddings: Embeddings) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        partial = self.file.with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez(file, step=step, embeddings=embeddings)
        partial.replace(self.file)

    def _load(self, step: int) -> Embeddings:
        if self.file.exists():
            with np.load(self.file) as kept:
                if int(kept["step"]) == step:
                    embeddings: Embeddings = kept["embeddings"]
                    return embeddings
        raise ResumeError(
            f"{self.file} does not hold the look-alikes of step {step}; start the run again in "
            "another `run.out`"
        )
