"""The computing cost of a run follows from its config alone."""

from pathlib import Path

import pytest

from model_training.encoder.train_config import EncoderTrainConfig
from model_training.evaluation.cost import TRAINING_PASSES, Cost, cost_of, cost_table, read_config
from model_training.training.config import ConfigError
from tests.support.paths import TRAINING_CONFIGS


def test_the_cost_of_the_reference_encoder_is_that_of_its_layers() -> None:
    cost = cost_of(read_config(TRAINING_CONFIGS / "hoss-reference.yaml"))
    tokens, width, depth, patches = 130, 768, 12, 128  # cls + 128 patches + size
    block = 2 * tokens * 12 * width**2 + 4 * tokens**2 * width
    embeddings = 2 * (2 * patches * 3 * 16 * 16 * width)  # of both sensors
    assert cost.forward_flop == pytest.approx(depth * block + embeddings, rel=1e-3)
    assert cost.items == 4500 * 8 * 4
    assert cost.workers == 8
    assert cost.prepare_s > 0


def test_a_translator_is_counted_in_pairs() -> None:
    cost = cost_of(read_config(TRAINING_CONFIGS / "translator-simulation.yaml"))
    assert cost.items == 6000 * 16
    assert cost.forward_flop > 1e8


@pytest.mark.parametrize("name", ["simulation-compact", "simulation-lite"])
def test_the_mirror_image_is_not_counted_in_training(name: str) -> None:
    config = read_config(TRAINING_CONFIGS / f"{name}.yaml")
    assert isinstance(config, EncoderTrainConfig)
    plain = config.encoder.model_copy(update={"mirror_average": False})
    once = config.model_copy(update={"encoder": plain})
    assert cost_of(config).forward_flop == cost_of(once).forward_flop


def test_minutes_by_hand() -> None:
    cost = Cost(items=6000, forward_flop=10**9, prepare_s=0.02, workers=4)
    assert cost.training_flop == TRAINING_PASSES * 6e12
    assert cost.device_minutes(tflops=0.1) == pytest.approx(3.0)
    assert cost.prepare_minutes == pytest.approx(0.5)


def test_the_table_has_a_row_per_run() -> None:
    names = ("hoss-compact.yaml", "translator-simulation.yaml")
    table = cost_table([TRAINING_CONFIGS / name for name in names], tflops=50.0)
    lines = table.splitlines()
    assert lines[0].startswith("| run | items |")
    assert [line.split("|")[1].strip() for line in lines[2:]] == [
        "hoss-compact",
        "translator-simulation",
    ]


def test_a_file_that_is_no_run_config_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("seed: 3\n")
    with pytest.raises(ConfigError, match=r"run\.yaml"):
        read_config(path)
