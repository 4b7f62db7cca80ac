"""Two encoders are compared on the same queries, ship by ship."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model_training.embedding.chip_table import Embeddings
from model_training.encoder.train import train_encoder
from model_training.evaluation.comparison import compare, compare_on_held_out, scores_by_direction
from tests.support.training.archives import archive_config, write_archive
from tests.support.training.training_data import embedded_ships


def test_the_clearer_embedding_gains_in_both_directions() -> None:
    vague, clear = embedded_ships(30, noise=1.2), embedded_ships(30, noise=0.4)
    result = compare(vague, clear)
    assert result.is_better
    assert result.is_certain
    assert result.ships == 30
    for older, newer in result.by_direction.values():
        assert newer > older
    both = [np.mean(pair) for pair in zip(*result.by_direction.values(), strict=True)]
    assert [result.older.value, result.newer.value] == pytest.approx(both)
    assert result.gain.value == pytest.approx(result.newer.value - result.older.value)
    assert f"gain {result.gain.value:+.1f} [" in str(result)


def test_an_embedding_gains_nothing_over_itself() -> None:
    table = embedded_ships(10)
    result = compare(table, table)
    assert (result.gain.value, result.gain.low, result.gain.high) == (0, 0, 0)
    assert not result.is_better


def test_a_gain_that_few_ships_show_is_not_certain() -> None:
    table = embedded_ships(6, noise=1.5)
    vectors = table.embeddings.plain.copy()
    vectors[table.vessel_ids == 1] = vectors[np.flatnonzero(table.vessel_ids == 1)[0]]
    result = compare(table, replace(table, embeddings=Embeddings(vectors)))
    assert result.is_better
    assert not result.is_certain


def test_only_some_ships_are_queried_among_all() -> None:
    table = embedded_ships(12, views=2)
    scores = scores_by_direction(table, table.embeddings.plain, among={3, 4})
    assert set(scores["S2O"].identities) == {3, 4}
    assert scores["S2O"].gallery == 24


def test_other_chips_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="different chips"):
        compare(embedded_ships(4), embedded_ships(5))


def test_an_encoder_is_compared_on_the_ships_that_its_run_held_out(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "archive", 12)
    config = archive_config(tmp_path, archive)
    train_encoder(config)
    assert config.initial is not None
    best = tmp_path / "run" / "best.pt"
    result = compare_on_held_out([best], [config.initial])
    assert result.ships == 1  # of three: two chose the checkpoint
    assert compare_on_held_out([config.initial, best], [config.initial]).ships == 1
    with pytest.raises(ValueError, match="none was trained on one"):
        compare_on_held_out([_hoss_run(tmp_path)], [config.initial])


def _hoss_run(folder: Path) -> Path:
    """Return an encoder whose config says that it learnt from HOSS."""
    from model_training.training.checkpoint import Checkpoint

    stored = Checkpoint.load(folder / "initial.pt")
    stored.config["data"] = {"kind": "hoss", "folder": "hoss", "cache": "cache"}
    stored.config["run"] |= {"patience": None}
    stored.save(folder / "hoss.pt")
    return folder / "hoss.pt"
