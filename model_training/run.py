"""One training run: typed config, exact resume, checkpoints, metrics, EMA, DDP.

All randomness of a step is derived from (seed, step, rank), and the learning rate is a function
of the step. A checkpoint therefore needs no generator state: weights, moving average, optimiser
and step number restore a run exactly, and a killed run continues with bit-equal losses on a CPU.
"""

import contextlib
import hashlib
import json
import math
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np
import torch
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from model_training.checkpoint import Checkpoint, Ema, MetricLog, current_commit

BatchT = TypeVar("BatchT")


class TypedConfig(BaseModel):
    """Base of every training config: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


ConfigT = TypeVar("ConfigT", bound=TypedConfig)


class ConfigError(Exception):
    """A config file cannot be read, or says something that the schema does not allow."""


class ResumeError(Exception):
    """A run directory holds a checkpoint of another run."""


class DeviceError(Exception):
    """A run asks for a device that this machine does not have."""


class OptimiserConfig(TypedConfig):
    """Optimiser and learning-rate schedule.

    `cosine` falls to `final_fraction` of `lr` over the run; `trapezoid` stays at `lr` and falls
    linearly over the last `cooldown` share of the steps; `constant` stays. `decay_vectors` lets
    weight decay act on biases and norms, too. Gradients longer than `clip_norm` are scaled to it;
    null leaves them.
    """

    kind: Literal["adamw", "sgd"] = "adamw"
    lr: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.02, ge=0)
    decay_vectors: bool = False
    beta2: float = Field(0.98, gt=0, lt=1)
    momentum: float = Field(0.9, ge=0, lt=1)
    bias_lr_factor: float = Field(1.0, gt=0)
    warmup_steps: int = Field(200, ge=0)
    schedule: Literal["cosine", "trapezoid", "constant"] = "cosine"
    final_fraction: float = Field(0.02, ge=0, le=1)
    cooldown: float = Field(0.3, gt=0, le=1)
    clip_norm: float | None = Field(1.0, gt=0)


class RunConfig(TypedConfig):
    """How long, how precisely, on what, and what is kept.

    `select_by` names the validation metric (higher is better) that decides which checkpoint
    becomes `best.pt`; without it only the latest is kept.
    """

    out: Path
    steps: int = Field(ge=1)
    seed: int = Field(0, ge=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["float32", "bfloat16"] = "float32"
    threads: int | None = Field(None, ge=1)
    compile: bool = False
    loader_workers: int = Field(0, ge=0)
    ema_decay: float = Field(0.999, ge=0, lt=1)
    log_every: int = Field(20, ge=1)
    checkpoint_every: int = Field(200, ge=1)
    validate_every: int = Field(1000, ge=1)
    select_by: str | None = None


def load_config(path: Path, schema: type[ConfigT]) -> ConfigT:
    """Read a YAML file into its schema.

    Raises:
        ConfigError: the file is missing, is not YAML, or has unknown or wrong entries.
    """
    try:
        content = yaml.safe_load(path.read_text())
        return schema.model_validate(content)
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise ConfigError(f"{path}: {error}") from error


@dataclass(frozen=True, slots=True)
class Worker:
    """This process among those that train together: rank 0 of 1 unless started by torchrun."""

    rank: int
    world: int
    device: torch.device


@contextlib.contextmanager
def worker(config: RunConfig) -> Iterator[Worker]:
    """Join the other processes when torchrun started this one, and choose the device.

    Raises:
        DeviceError: `cuda` was asked for and there is none.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise DeviceError("device: cuda was asked for, but torch finds no CUDA device; use cpu")
    cuda = config.device != "cpu" and torch.cuda.is_available()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    if "RANK" not in os.environ:
        yield Worker(0, 1, torch.device("cuda" if cuda else "cpu"))
        return
    distributed.init_process_group("nccl" if cuda else "gloo")
    try:
        local = int(os.environ["LOCAL_RANK"])
        device = torch.device("cuda", local) if cuda else torch.device("cpu")
        if cuda:
            torch.cuda.set_device(device)
        yield Worker(distributed.get_rank(), distributed.get_world_size(), device)
    finally:
        distributed.destroy_process_group()


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """A 63-bit seed for one step of one worker, well mixed."""
    key = hashlib.sha256(f"{seed}/{step}/{rank}".encode()).digest()
    return int.from_bytes(key[:8], "little") >> 1


def step_generator(seed: int, step: int, rank: int = 0) -> np.random.Generator:
    """The numpy generator from which a step's batch is drawn."""
    return np.random.default_rng(step_seed(seed, step, rank))


def learning_rate(config: OptimiserConfig, step: int, steps: int) -> float:
    """The learning rate of step 0 … steps-1."""
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
    if config.schedule == "constant":
        share = 1.0
    elif config.schedule == "cosine":
        share = 0.5 * (1 + math.cos(math.pi * progress))
    else:
        share = min(1.0, (1 - progress) / config.cooldown)
    return config.lr * (config.final_fraction + (1 - config.final_fraction) * share)


def build_optimiser(model: nn.Module, config: OptimiserConfig) -> torch.optim.Optimizer:
    """AdamW or SGD; biases, norms and other vectors are decayed only with `decay_vectors`."""
    matrices: list[nn.Parameter] = []
    vectors: list[nn.Parameter] = []
    for parameter in model.parameters():
        if parameter.requires_grad:
            (matrices if parameter.ndim > 1 else vectors).append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": config.weight_decay, "lr_factor": 1.0},
        {
            "params": vectors,
            "weight_decay": config.weight_decay if config.decay_vectors else 0.0,
            "lr_factor": config.bias_lr_factor,
        },
    ]
    if config.kind == "adamw":
        return torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, config.beta2))
    return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum)


class Task(Protocol[BatchT]):
    """What a trainer brings to `fit`.

    Attributes:
        model: everything that is trained, auxiliary heads included.
        data_digest: hash of the data (or of the config and seed that simulate them).
    """

    model: nn.Module
    data_digest: str

    def batch(self, step: int, rank: int) -> BatchT:
        """The batch of a step: a pure function of its arguments."""
        ...

    def loss(self, model: nn.Module, batch: BatchT, step: int) -> dict[str, Tensor]:
        """Scalars to log; `loss` is minimised. `model` may be wrapped for DDP or compiled."""
        ...

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Metrics on validation identities of a model in eval mode with averaged weights."""
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


def config_digest(config: BaseModel) -> str:
    """SHA-256 of a config's canonical JSON."""
    text = json.dumps(config.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


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
        task: model, data and losses.
        run: length, seed, device, output.
        optimiser_config: optimiser and schedule.
        config: the whole typed config; stored in the checkpoint.
        stop_at: end early after this many steps, as if killed right after a checkpoint.

    Raises:
        ResumeError: `run.out` holds a checkpoint of another config or of other data.
        DeviceError: `cuda` was asked for and there is none.
        FloatingPointError: the loss is not finite.
    """
    with worker(run) as here:
        trainer = _Trainer(task, run, optimiser_config, config, here)
        try:
            trainer.train(stop_at if stop_at is not None else run.steps)
        finally:
            if trainer.log:
                trainer.log.close()
        return trainer.checkpoint


def is_config_of(stored: dict[str, Any], config: TypedConfig) -> bool:
    """Whether a stored config means this one; options that it does not know are at their default.

    A run may thus be continued by a later version of this code.
    """
    try:
        return type(config).model_validate(stored) == config
    except ValidationError:
        return False


class _Trainer(Generic[BatchT]):
    """State of one run in one process."""

    def __init__(
        self,
        task: Task[BatchT],
        run: RunConfig,
        optimiser_config: OptimiserConfig,
        config: TypedConfig,
        here: Worker,
    ) -> None:
        self.task, self.run, self.schedule, self.here = task, run, optimiser_config, here
        task.model.to(here.device)
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
        self.wrapped = DistributedDataParallel(task.model) if here.world > 1 else task.model
        if run.compile:
            self.wrapped.compile()
        self.log = (
            MetricLog(run.out, self.checkpoint.step) if here.rank == 0 else None
        )  # opened last: fit closes it

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
        """Steps up to `stop`, with checkpoints and validation on the way."""
        start = self.checkpoint.step
        batches = DataLoader(
            _Steps(self.task, start, stop, self.here.rank),
            batch_size=None,
            num_workers=self.run.loader_workers,
        )
        bar = tqdm(total=self.run.steps, initial=start, disable=self.here.rank != 0, unit="step")
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
            if done % self.run.checkpoint_every == 0 or done in (stop, self.run.steps):
                self._save(done)
        bar.close()

    def _step(self, step: int, batch: BatchT) -> dict[str, Tensor]:
        torch.manual_seed(step_seed(self.run.seed, step, self.here.rank))
        rate = learning_rate(self.schedule, step, self.run.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["lr_factor"]
        with torch.autocast(
            self.here.device.type, torch.bfloat16, enabled=self.run.precision == "bfloat16"
        ):
            scalars = self.task.loss(self.wrapped, batch, step)
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
        told = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        tqdm.write(f"step {done}: {told}", file=sys.stderr)  # stdout is for a command's result
        chosen = self.run.select_by
        if chosen is not None:
            if chosen not in metrics:
                raise ConfigError(f"select_by: {chosen} is not among {sorted(metrics)}")
            if metrics[chosen] > self.checkpoint.best.get(chosen, -math.inf):
                self.checkpoint.best = metrics
                self._snapshot(done, metrics).save(self.run.out / "best.pt")
        self.checkpoint.metrics = metrics

    def _save(self, done: int) -> None:
        self.checkpoint = self._snapshot(done, self.checkpoint.metrics)
        if self.here.rank == 0:
            self.checkpoint.save(self.path)

    def _snapshot(self, done: int, metrics: dict[str, float]) -> Checkpoint:
        return Checkpoint(
            config=self.checkpoint.config,
            data_digest=self.checkpoint.data_digest,
            commit=self.checkpoint.commit,
            step=done,
            metrics=metrics,
            best=self.checkpoint.best,
            model=self.task.model.state_dict(),
            ema=self.ema.state_dict(),
            optimiser=self.optimiser.state_dict(),
        )
