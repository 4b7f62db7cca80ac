"""Half turns of embedded chips."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model_training.data.hoss import all_chips, read_hoss
from model_training.embedding.chip_table import Embeddings, embed_chips, embed_half_turns
from service.contract.chip import Chip, Modality
from tests.support.training.training_data import write_chips


def brightness_of_both_ends(chips: Sequence[Chip]) -> Embeddings:
    """Embed a chip as the direction of its upper and lower mean brightness."""
    halves = [np.array_split(chip.pixels.astype(np.float64), 2) for chip in chips]
    rows = np.array([[part.mean() for part in both] for both in halves])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Embeddings(rows.astype(np.float32))


def test_half_turns_are_embedded_of_some_labelled_chips_of_each_sensor(tmp_path: Path) -> None:
    names = [f"{i:04d}_a_{s}.tif" for i in range(8) for s in ("RGB", "SAR")]
    write_chips(tmp_path, *names, "-1_x_RGB.tif")
    table = embed_chips(all_chips(read_hoss(tmp_path)), brightness_of_both_ends)
    assert table.rows_with_half_turn.size == 0
    turned = embed_half_turns(table, brightness_of_both_ends, per_sensor=5)
    rows = turned.rows_with_half_turn
    assert (turned.vessel_ids[rows] != -1).all()
    for modality in Modality:
        assert np.isin(rows, turned.rows_with(modality)).sum() == 5
    assert turned.half_turned is not None
    even = [row for row in rows if turned.chips[row].read().pixels.shape[0] % 2 == 0]
    assert even
    np.testing.assert_allclose(
        turned.half_turned[even], table.embeddings.plain[even][:, ::-1], rtol=1e-5
    )


def test_half_turns_of_another_width_are_refused(tmp_path: Path) -> None:
    write_chips(tmp_path, "0001_a_RGB.tif", "0001_a_SAR.tif")
    table = embed_chips(all_chips(read_hoss(tmp_path)), brightness_of_both_ends)
    with pytest.raises(ValueError, match="half turns"):
        replace(table, half_turned=np.zeros((2, 3), np.float32))
