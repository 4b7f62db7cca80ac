"""The training loop on a toy task: resuming, checkpoints, logs, schedules, config errors."""

import csv
import math
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from model_training.training.checkpoint import Checkpoint, Ema, read_metric
from model_training.training.config import (
    ConfigError,
    RunConfig,
    TypedConfig,
    is_config_of,
    load_config,
)
from model_training.training.optimiser import OptimiserConfig, build_optimiser, learning_rate
from model_training.training.run import ResumeError, fit
from model_training.training.seeds import step_generator, step_seed


class ToyConfig(TypedConfig):
    run: RunConfig
    optimiser: OptimiserConfig = OptimiserConfig(lr=0.01, warmup_steps=3)


class ToyTask:
    """Regression with dropout, so that the loss also depends on torch's generator."""

    data_digest = "toy"

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        self.seed = seed
        self.model: nn.Module = nn.Sequential(
            nn.Linear(4, 16), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.Linear(16, 1)
        )

    def batch(self, step: int, rank: int) -> Tensor:
        drawn = step_generator(self.seed, step, rank).normal(size=(8, 4))
        return torch.from_numpy(drawn).float()

    def loss(self, model: nn.Module, batch: Tensor) -> dict[str, Tensor]:
        return {"loss": (model(batch)[:, 0] - batch.sum(1)).square().mean()}

    def validate(self, model: nn.Module) -> dict[str, float]:
        assert not model.training
        return {"score": -float(model(torch.ones(1, 4)).sub(4).abs())}


def toy_config(out: Path, **changes: object) -> ToyConfig:
    entries = {"out": out, "steps": 12, "checkpoint_every": 4, "validate_every": 3, "log_every": 1}
    return ToyConfig.model_validate({"run": {**entries, "device": "cpu", **changes}})


def train(config: ToyConfig, stop_at: int | None = None) -> Checkpoint:
    return fit(ToyTask(config.run.seed), config.run, config.optimiser, config, stop_at=stop_at)


def losses(out: Path) -> list[tuple[str, str]]:
    with (out / "metrics.csv").open() as file:
        return [
            (row["step"], row["value"]) for row in csv.DictReader(file) if row["name"] == "loss"
        ]


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # torch's compiler uses it
@pytest.mark.parametrize(
    "changes",
    [{}, {"loader_workers": 1}, {"precision": "bfloat16"}, {"compile": True}],
    ids=["plain", "loader", "bfloat16", "compiled"],
)
def test_a_killed_run_resumes_to_bit_equal_losses_and_weights(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    whole = train(toy_config(tmp_path, **changes))
    expected = losses(tmp_path)
    (tmp_path / "checkpoint.pt").unlink()

    config = toy_config(tmp_path, **changes)
    train(config, stop_at=4)
    # steps 5 and 6 ran, but the process was killed before their checkpoint
    saved = (tmp_path / "checkpoint.pt").read_bytes()
    train(config, stop_at=6)
    (tmp_path / "checkpoint.pt").write_bytes(saved)
    resumed = train(config)

    assert losses(tmp_path) == expected
    assert len(expected) == 12
    for name, value in whole.ema.items():
        assert torch.equal(value, resumed.ema[name]), name
        assert torch.equal(whole.model[name], resumed.model[name]), name


def test_bfloat16_changes_the_computation_and_not_the_weights_type(tmp_path: Path) -> None:
    exact = train(toy_config(tmp_path / "exact"))
    rounded = train(toy_config(tmp_path / "rounded", precision="bfloat16"))
    assert losses(tmp_path / "exact") != losses(tmp_path / "rounded")
    for name, value in rounded.model.items():
        assert value.dtype == exact.model[name].dtype  # weights stay float32
        torch.testing.assert_close(value, exact.model[name], atol=0.05, rtol=0.05)


def test_a_checkpoint_records_config_data_and_best_metrics(tmp_path: Path) -> None:
    config = toy_config(tmp_path, select_by="score")
    train(config)
    stored = Checkpoint.load(tmp_path / "checkpoint.pt")
    best = Checkpoint.load(tmp_path / "best.pt")
    assert ToyConfig.model_validate(stored.config) == config
    assert (stored.step, stored.data_digest) == (12, "toy")
    assert stored.best["score"] == best.metrics["score"] >= stored.metrics["score"]
    assert not list(tmp_path.glob("*.partial"))
    assert list((tmp_path / "tensorboard").iterdir())


class ScoredTask(ToyTask):
    """A task with prepared validation scores."""

    def __init__(self, scores: list[float]) -> None:
        super().__init__(0)
        self.scores = scores

    def validate(self, model: nn.Module) -> dict[str, float]:
        return {"score": self.scores.pop(0)}


@pytest.mark.parametrize(
    ("scores", "ends", "best"),
    [([5.0, 4.0, 3.0], 6, 0), ([1.0, 5.0, 4.0, 3.0], 9, 3), ([1.0, 2.0, 3.0, 4.0, 5.0], 12, 12)],
)
def test_a_run_ends_when_its_patience_does(
    tmp_path: Path, scores: list[float], ends: int, best: int
) -> None:
    config = toy_config(tmp_path, select_by="score", patience=2)
    stored = fit(ScoredTask(list(scores)), config.run, config.optimiser, config)
    assert (stored.step, stored.best_step) == (ends, best)
    assert Checkpoint.load(tmp_path / "best.pt").step == best
    assert Checkpoint.load(tmp_path / "checkpoint.pt").step == ends
    again = fit(ScoredTask([]), config.run, config.optimiser, config)
    assert again.step == ends
    assert read_metric(tmp_path, "validation", "score") == {
        3 * number: score for number, score in enumerate(scores)
    }


def test_patience_without_a_criterion_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="patience needs select_by"):
        toy_config(tmp_path, patience=2)


def test_a_directory_of_another_run_is_refused(tmp_path: Path) -> None:
    train(toy_config(tmp_path, steps=4))
    with pytest.raises(ResumeError, match="another config"):
        train(toy_config(tmp_path, steps=4, seed=1))


def test_a_checkpoint_without_a_newer_option_is_continued_and_one_with_an_unknown_option_is_not(
    tmp_path: Path,
) -> None:
    config = toy_config(tmp_path)
    train(config)
    expected = losses(tmp_path)
    (tmp_path / "checkpoint.pt").unlink()
    stored = train(config, stop_at=4)
    del stored.config["optimiser"]["decay_vectors"]
    stored.save(tmp_path / "checkpoint.pt")
    train(config)
    assert losses(tmp_path) == expected

    stored.config["optimiser"]["decay_tensors"] = False
    stored.save(tmp_path / "checkpoint.pt")
    with pytest.raises(ResumeError, match="another config"):
        train(config)


@pytest.mark.parametrize(("beta2", "continued"), [(0.98, True), (0.999, False)])
def test_a_former_option_is_ignored_where_it_had_the_value_that_the_code_has(
    tmp_path: Path, beta2: float, continued: bool
) -> None:
    config = toy_config(tmp_path)
    stored = config.model_dump(mode="json")
    stored["optimiser"]["beta2"] = beta2
    assert is_config_of(stored, config) == continued


def test_vectors_are_decayed_only_with_decay_vectors() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    for decay_vectors, decay in ((False, 0.0), (True, 0.25)):
        config = OptimiserConfig(weight_decay=0.25, decay_vectors=decay_vectors, bias_lr_factor=2.0)
        matrices, vectors = build_optimiser(model, config).param_groups
        assert [p.ndim for p in matrices["params"]] == [2]
        assert [p.ndim for p in vectors["params"]] == [1, 1, 1]
        assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.25, decay)
        assert (matrices["lr_factor"], vectors["lr_factor"]) == (1.0, 2.0)


def test_stems_learn_at_a_rate_of_their_own() -> None:
    model = nn.ModuleDict({"stem": nn.Linear(2, 2), "head": nn.Linear(2, 2)})
    groups = build_optimiser(
        model, OptimiserConfig(stem_lr_factor=0.25, bias_lr_factor=2)
    ).param_groups
    assert [group["lr_factor"] for group in groups] == [1.0, 2.0, 0.25, 0.5]
    named = dict(model.named_parameters())
    assert groups[2]["params"][0] is named["stem.weight"]
    assert groups[3]["params"][0] is named["stem.bias"]
    assert sum(len(group["params"]) for group in groups) == 4


def test_selecting_by_an_unknown_metric_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mAP is not among"):
        train(toy_config(tmp_path, select_by="mAP"))


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    config = toy_config(tmp_path)
    task = ToyTask(0)
    task.model[0].weight.data.fill_(torch.nan)  # type: ignore[index]
    with pytest.raises(FloatingPointError, match="step 0"):
        fit(task, config.run, config.optimiser, config)


def test_unknown_config_keys_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("run: {out: x, steps: 3, stepz: 4}\n")
    with pytest.raises(ConfigError, match="stepz"):
        load_config(path, ToyConfig)
    with pytest.raises(ConfigError, match=r"missing\.yaml"):
        load_config(tmp_path / "missing.yaml", ToyConfig)


def test_a_config_contains_only_the_differences_from_the_one_it_extends(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("run: {out: x, steps: 3, seed: 4}\noptimiser: {lr: 0.5}\n")
    (tmp_path / "next.yaml").write_text("extends: base.yaml\nrun: {out: y, seed: 5}\n")
    (tmp_path / "last.yaml").write_text("extends: next.yaml\noptimiser: {lr: 0.25}\n")
    config = load_config(tmp_path / "last.yaml", ToyConfig)
    assert (config.run.out, config.run.steps, config.run.seed) == (Path("y"), 3, 5)
    assert config.optimiser.lr == 0.25


def test_a_config_that_extends_itself_or_a_missing_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n")
    with pytest.raises(ConfigError, match="extends itself"):
        load_config(tmp_path / "a.yaml", ToyConfig)
    (tmp_path / "b.yaml").write_text("extends: c.yaml\n")
    with pytest.raises(ConfigError, match=r"c\.yaml"):
        load_config(tmp_path / "a.yaml", ToyConfig)


def test_the_rate_by_epochs_is_that_of_the_released_schedule() -> None:
    config = OptimiserConfig(
        lr=1.0, warmup_steps=225, schedule="epoch_cosine", epoch_steps=45, final_fraction=0.002
    )
    rates = [learning_rate(config, step, 4500) for step in range(4500)]
    assert all(len(set(rates[start : start + 45])) == 1 for start in range(0, 4500, 45))
    by_epoch = rates[::45]  # epochs 1 to 100
    assert by_epoch[:4] == pytest.approx([0.208, 0.406, 0.604, 0.802])
    # the cosine began at epoch 0, so that epoch 5 is not at the full rate
    expected = [0.002 + 0.998 * (1 + math.cos(math.pi * e / 100)) / 2 for e in range(5, 101)]
    assert by_epoch[4:] == pytest.approx(expected)
    assert by_epoch[-1] == pytest.approx(0.002)
    assert max(by_epoch) == by_epoch[4] < 0.995


def test_learning_rates_follow_warm_up_and_schedule() -> None:
    cosine = OptimiserConfig(lr=1.0, warmup_steps=10, final_fraction=0.1)
    assert learning_rate(cosine, 0, 110) == pytest.approx(0.1)
    assert learning_rate(cosine, 10, 110) == pytest.approx(1.0)
    assert learning_rate(cosine, 60, 110) == pytest.approx(0.55)
    trapezoid = cosine.model_copy(update={"schedule": "trapezoid", "cooldown": 0.5})
    assert learning_rate(trapezoid, 60, 110) == pytest.approx(1.0)
    assert learning_rate(trapezoid, 85, 110) == pytest.approx(0.55)


def test_step_seeds_differ_by_seed_step_and_rank() -> None:
    seeds = {step_seed(*key) for key in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 10, 0)]}
    assert len(seeds) == 5
    assert step_seed(3, 4, 1) == step_seed(3, 4, 1)


def test_the_moving_average_is_updated_and_applied_temporarily() -> None:
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(0.0)
    ema = Ema(model, decay=0.5)
    model.weight.data.fill_(1.0)
    ema.update(model, step=0)  # decay (1 + 0) / (10 + 0) = 0.1
    assert ema.average["weight"].item() == pytest.approx(0.9)
    ema.update(model, step=1000)  # decay 0.5
    assert ema.average["weight"].item() == pytest.approx(0.95)
    with ema.applied_to(model) as averaged:
        assert averaged.get_parameter("weight").item() == pytest.approx(0.95)
    assert model.weight.item() == 1.0
