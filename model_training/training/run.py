"""Run a training loop: exact resume, checkpoints, metrics, moving average, several processes.

All randomness of a step is derived from (seed, step, rank), and the learning rate is a function
of the step. A checkpoint therefore needs no generator state: weights, moving average, optimiser
and step number restore a run exactly, and a killed run continues with bit-equal losses on a CPU.
"""

import math
import sys
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from model_training.training.checkpoint import Checkpoint, Ema, MetricLog, current_commit
from model_training.training.config import ConfigError, RunConfig, TypedConfig, is_config_of
from model_training.training.optimiser import OptimiserConfig, build_optimiser, learning_rate
from model_training.training.seeds import step_seed
from model_training.training.workers import Worker, join_workers

BatchT = TypeVar("BatchT")


class ResumeError(Exception):
    """A run directory holds a checkpoint of another run."""


class Task(Protocol[BatchT]):
    """Model, data and losses of one training, for `fit`.

    Attributes:
        model: every module that is trained, auxiliary heads included.
        data_digest: hash of the data (or of the config and seed that simulate them).
    """

    model: nn.Module
    data_digest: str

    def batch(self, step: int, rank: int) -> BatchT:
        """Return the batch of a step; a pure function of its arguments."""
        ...

    def loss(self, model: nn.Module, batch: BatchT) -> dict[str, Tensor]:
        """Return scalars to log; `loss` is minimised. `model` may be compiled or wrapped in DDP."""
        ...

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return metrics of a model in eval mode with averaged weights on validation identities."""
        ...


class _Steps(Dataset[tuple[int, BatchT]], Generic[BatchT]):
    """A task's batches as a map-style dataset, so that a DataLoader can prefetch them."""

    def __init__(self, task: Task[BatchT], start: int, stop: int, rank: int) -> None:
        self.task, self.start, self.stop, self.rank = task, start, stop, rank

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, index: int) -> tuple[int, BatchT]:
        step = self.start + index
        return step, self.task.batch(step, self.rank)


def fit(
    task: Task[BatchT],
    run: RunConfig,
    optimiser_config: OptimiserConfig,
    config: TypedConfig,
    *,
    stop_at: int | None = None,
) -> Checkpoint:
    """Train, or continue training, and return the last checkpoint.

    Writes `checkpoint.pt` (latest), `best.pt` (by `run.select_by`), `metrics.csv` and TensorBoard
    events to `run.out`. If `run.out` holds a checkpoint of the same config, training continues
    from it exactly.

    Args:
        config: the whole typed config; stored in the checkpoint.
        stop_at: stop early after this many steps, as if killed right after a checkpoint.

    Raises:
        ResumeError: `run.out` holds a checkpoint of another config or of other data.
        DeviceError: the config requires `cuda` and there is no CUDA device.
        FloatingPointError: the loss is not finite.
    """
    with join_workers(run) as worker:
        trainer = _Trainer(task, run, optimiser_config, config, worker)
        try:
            trainer.train(stop_at if stop_at is not None else run.steps)
        finally:
            trainer.close()
        return trainer.checkpoint


class _Trainer(Generic[BatchT]):
    """The state of one run in one process."""

    def __init__(
        self,
        task: Task[BatchT],
        run: RunConfig,
        optimiser_config: OptimiserConfig,
        config: TypedConfig,
        worker: Worker,
    ) -> None:
        self.task, self.run, self.schedule, self.worker = task, run, optimiser_config, worker
        if run.patience is not None and worker.world > 1:
            raise ConfigError("patience: only the first of several processes validates; use one")
        task.model.to(worker.device)
        self.optimiser = build_optimiser(task.model, optimiser_config)
        self.ema = Ema(task.model, run.ema_decay)
        self.path = run.out / "checkpoint.pt"
        self.checkpoint = Checkpoint(
            config=config.model_dump(mode="json"),
            data_digest=task.data_digest,
            commit=current_commit(),
        )
        if self.path.exists():
            self._resume(config)
        self.wrapped = DistributedDataParallel(task.model) if worker.world > 1 else task.model
        if run.compile:
            self.wrapped.compile()
        # opened last, because `fit` closes it only after this constructor has returned
        self.log = MetricLog(run.out, self.checkpoint.step) if worker.rank == 0 else None

    def close(self) -> None:
        """Close the log, and free what holds the process group."""
        # If DDP were the last to hold the group, it would wait for the end of gloo's threads with
        # the interpreter lock held, which they may need. `destroy_process_group` releases it first.
        del self.wrapped
        if self.log:
            self.log.close()

    def _resume(self, config: TypedConfig) -> None:
        stored = Checkpoint.load(self.path)
        if stored.data_digest != self.checkpoint.data_digest or not is_config_of(
            stored.config, config
        ):
            raise ResumeError(
                f"{self.path} belongs to a run with another config or other data; "
                f"choose another `run.out` or remove it"
            )
        self.task.model.load_state_dict(stored.model)
        self.ema.load_state_dict(stored.ema)
        self.optimiser.load_state_dict(stored.optimiser)
        self.checkpoint = stored

    def train(self, stop: int) -> None:
        """Train up to step `stop`, with checkpoints and validation at their intervals."""
        start = self.checkpoint.step
        if start == 0 and self.run.patience is not None:
            self._validate(0)
        if self._out_of_patience(start):
            return
        batches = DataLoader(
            _Steps(self.task, start, stop, self.worker.rank),
            batch_size=None,
            num_workers=self.run.loader_workers,
        )
        bar = tqdm(total=self.run.steps, initial=start, disable=self.worker.rank != 0, unit="step")
        self.task.model.train()
        for step, batch in batches:
            scalars = self._step(step, batch)
            bar.update()
            done = step + 1
            if self.log and (done % self.run.log_every == 0 or done == stop):
                values = {name: float(value.detach()) for name, value in scalars.items()}
                bar.set_postfix(loss=f"{values['loss']:.4f}")
                self.log.write(done, "train", values)
            if done % self.run.validate_every == 0 or done == self.run.steps:
                self._validate(done)
            ended = self._out_of_patience(done)
            if ended or done % self.run.checkpoint_every == 0 or done in (stop, self.run.steps):
                self._save(done)
            if ended:
                break
        bar.close()

    def _out_of_patience(self, done: int) -> bool:
        """Whether the criterion was not improved for as many validations as `patience` allows."""
        patience = self.run.patience
        if patience is None:
            return False
        return done - self.checkpoint.best_step >= patience * self.run.validate_every

    def _step(self, step: int, batch: BatchT) -> dict[str, Tensor]:
        torch.manual_seed(step_seed(self.run.seed, step, self.worker.rank))
        rate = learning_rate(self.schedule, step, self.run.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["lr_factor"]
        with torch.autocast(
            self.worker.device.type, torch.bfloat16, enabled=self.run.precision == "bfloat16"
        ):
            scalars = self.task.loss(self.wrapped, batch)
        loss = scalars["loss"]
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss of step {step} is {loss.item()}")
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.schedule.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.task.model.parameters(), self.schedule.clip_norm)
        self.optimiser.step()
        self.ema.update(self.task.model, step)
        return {**scalars, "lr": torch.tensor(rate)}

    def _validate(self, done: int) -> None:
        if self.log is None:
            return
        with self.ema.applied_to(self.task.model) as model, torch.no_grad():
            metrics = self.task.validate(model.eval())
        self.task.model.train()
        self.log.write(done, "validation", metrics)
        summary = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        tqdm.write(f"step {done}: {summary}", file=sys.stderr)  # stdout is for a command's result
        criterion = self.run.select_by
        if criterion is not None:
            if criterion not in metrics:
                raise ConfigError(f"select_by: {criterion} is not among {sorted(metrics)}")
            if metrics[criterion] > self.checkpoint.best.get(criterion, -math.inf):
                self.checkpoint.best, self.checkpoint.best_step = metrics, done
                self._snapshot(done, metrics).save(self.run.out / "best.pt")
        self.checkpoint.metrics = metrics

    def _save(self, done: int) -> None:
        self.checkpoint = self._snapshot(done, self.checkpoint.metrics)
        if self.worker.rank == 0:
            self.checkpoint.save(self.path)

    def _snapshot(self, done: int, metrics: dict[str, float]) -> Checkpoint:
        return replace(
            self.checkpoint,
            step=done,
            metrics=metrics,
            model=self.task.model.state_dict(),
            ema=self.ema.state_dict(),
            optimiser=self.optimiser.state_dict(),
        )
