"""Protocols of a data set, their scores, and the documents and metrics made from them."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model_training.data.hoss import LabelledChip, read_hoss
from model_training.embedding.chip_table import ChipTable, Embeddings, embed_chips
from model_training.evaluation.evaluate import chips_of, evaluate, evaluation_metrics, protocols_of
from service.contract.chip import Chip, Modality
from tests.support.training.training_data import write_chips

TRAIN = ("0001_s1c1_RGB.tif", "0001_s1c2_SAR.tif", "0002_s1c1_RGB.tif", "0002_s1c2_SAR.tif")


def one_hot(*places: int) -> NDArray[np.float32]:
    return np.eye(8, dtype=np.float32)[list(places)]


class CountingEmbedder:
    """Embeds a chip by its mean grey and counts the chips."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, chips: Sequence[Chip]) -> Embeddings:
        self.count += len(chips)
        angles = np.array([float(chip.pixels.mean()) for chip in chips])
        return Embeddings(np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32))


def write_split(root: Path) -> None:
    write_chips(root / "query", "0001_q_RGB.tif", "0001_q_SAR.tif", "0002_q_SAR.tif")
    write_chips(
        root / "bounding_box_test",
        "0001_g_RGB.tif",
        "0001_g_SAR.tif",
        "0002_g_RGB.tif",
        "-1_g_RGB.tif",
        "-1_g_SAR.tif",
    )


def names(chips: Sequence[LabelledChip]) -> list[str]:
    return [chip.path.name for chip in chips]


def test_without_a_split_labelled_chips_query_the_other_sensor(tmp_path: Path) -> None:
    write_chips(tmp_path, *TRAIN, "-1_s9c1_RGB.tif")
    splits = protocols_of(read_hoss(tmp_path))
    assert set(splits) == {"O2S", "S2O"}
    assert names(splits["O2S"].query) == ["0001_s1c1_RGB.tif", "0002_s1c1_RGB.tif"]
    assert names(splits["O2S"].gallery) == ["0001_s1c2_SAR.tif", "0002_s1c2_SAR.tif"]
    assert "-1_s9c1_RGB.tif" in names(splits["S2O"].gallery)


def test_a_split_gives_all_with_both_sensors_in_the_gallery_and_both_directions(
    tmp_path: Path,
) -> None:
    write_split(tmp_path)
    splits = protocols_of(read_hoss(tmp_path))
    assert set(splits) == {"ALL", "O2S", "S2O"}
    assert {chip.modality for chip in splits["ALL"].gallery} == set(Modality)
    assert names(splits["S2O"].query) == ["0001_q_SAR.tif", "0002_q_SAR.tif"]
    assert {chip.modality for chip in splits["S2O"].gallery} == {Modality.OPTICAL}


def test_published_subsets_replace_derived_ones(tmp_path: Path) -> None:
    write_split(tmp_path)
    write_chips(tmp_path / "subset/S2O/query", "0002_q_SAR.tif")
    write_chips(tmp_path / "subset/S2O/bounding_box_test", "0002_g_RGB.tif")
    splits = protocols_of(read_hoss(tmp_path))
    assert names(splits["S2O"].query) == ["0002_q_SAR.tif"]
    assert names(splits["O2S"].query) == ["0001_q_RGB.tif"]


def test_chips_of_equal_content_are_embedded_once(tmp_path: Path) -> None:
    write_split(tmp_path)
    for part in ("query", "bounding_box_test"):
        target = tmp_path / "subset" / "S2O" / part
        target.mkdir(parents=True)
        for path in (tmp_path / part).iterdir():
            shutil.copy(path, target)
    splits = protocols_of(read_hoss(tmp_path))
    embed = CountingEmbedder()
    progress: list[int] = []
    table = embed_chips(chips_of(splits), embed, progress.append)
    assert embed.count == 8
    assert sum(progress) == len(table.chips) == 16
    by_name: dict[str, NDArray[np.float32]] = {}
    for chip, vector in zip(table.chips, table.embeddings.plain, strict=True):
        np.testing.assert_array_equal(by_name.setdefault(chip.path.name, vector), vector)


def test_served_and_plain_embeddings_and_sizes_are_scored_separately(tmp_path: Path) -> None:
    write_chips(tmp_path, *TRAIN)
    splits = protocols_of(read_hoss(tmp_path))
    chips = read_hoss(tmp_path).loose
    table = ChipTable(
        chips,
        # plain embeddings confuse the two ships, fused embeddings match each with itself
        Embeddings(plain=one_hot(0, 1, 1, 0), fused=one_hot(0, 0, 1, 1)),
        # by size, the nearest chip of every ship is the other ship's
        size_m=np.array([[100.0, 20], [200, 40], [200, 40], [100, 20]]),
    )
    result = evaluate(splits, table, draws=100).protocols["S2O"]
    assert result.served.cmc[1].value == 100
    assert result.without_fusion.cmc[1].value == 0
    assert result.without_fusion.mean_ap.value == 50
    assert result.size_only.cmc[1].value == 0


def test_document_and_manifest_metrics_agree(tmp_path: Path) -> None:
    write_split(tmp_path)
    splits = protocols_of(read_hoss(tmp_path))
    evaluation = evaluate(splits, embed_chips(chips_of(splits), CountingEmbedder()), draws=200)
    report = json.loads(json.dumps(evaluation.document()))
    assert set(report) == {"ALL", "O2S", "S2O", "fuses"}
    assert report["fuses"] is False
    assert report["ALL"]["queries"] == 3
    assert report["ALL"]["gallery"] == 5
    metrics = {(m.protocol, m.name): m for m in evaluation_metrics(evaluation, "here")}
    assert len(metrics) == 3 * 3 * 4
    for protocol in ("ALL", "O2S", "S2O"):
        for name in ("mAP", "R1", "R5", "R10"):
            assert metrics[protocol, name].value == report[protocol][name]
            assert (
                metrics[protocol, f"{name} size only"].value == report[protocol]["size_only"][name]
            )
            interval = report[protocol]["intervals"][name]
            metric = metrics[protocol, name]
            assert ([metric.low, metric.high] if interval else None) == interval


def test_data_of_one_sensor_allow_no_protocol(tmp_path: Path) -> None:
    write_chips(tmp_path, "0001_a_RGB.tif", "0001_b_RGB.tif")
    splits = protocols_of(read_hoss(tmp_path))
    table = embed_chips(read_hoss(tmp_path).loose, CountingEmbedder())
    with pytest.raises(ValueError, match="both sensors"):
        evaluate(splits, table)


def test_embeddings_and_tables_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    write_chips(tmp_path, *TRAIN)
    chips = read_hoss(tmp_path).loose
    with pytest.raises(ValueError, match="unit length"):
        Embeddings(np.ones((4, 2), np.float32))
    with pytest.raises(ValueError, match="same shape"):
        Embeddings(one_hot(0, 1), one_hot(0))
    with pytest.raises(ValueError, match="4 chips, but 2"):
        ChipTable(chips, Embeddings(one_hot(0, 1)), np.ones((4, 2)))
    with pytest.raises(ValueError, match="no chips"):
        embed_chips([], CountingEmbedder())
