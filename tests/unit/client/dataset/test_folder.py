"""The written folder is complete or absent, and the reader of the training code reads it."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from model_training.data.hoss import read_hoss
from service.client.dataset.archive import read_archive
from service.client.dataset.folder import DatasetReport, write_dataset
from service.client.errors import SourceError
from tests.support.answers import ship_id
from tests.support.fakes.judged_service import JudgedService, sighting_of
from tests.support.inputs.chip_files import sar_plane, tiff_bytes
from tests.support.inputs.chips import optical_png, sar_tiff


def judged_service() -> JudgedService:
    """Ship A with both sensors, B with one, C whose SAR chip is not kept; one rejection."""
    service = JudgedService()
    service.enrol(
        "A",
        sighting_of("A", 1, "optical", "1", gsd_m=0.5, licence="CC BY 4.0", source="port"),
        chip=optical_png(1),
    )
    asked = sighting_of("A", 2, "sar", "2", gsd_m=2.0, gsd_source="default")
    service.enrol("A", asked, chip=sar_tiff(2))
    service.judge("A", asked)
    lonely = sighting_of("B", 1, "sar", "3")
    service.enrol("B", lonely, chip=sar_tiff(3))
    service.judge("B", lonely)
    lost = sighting_of("C", 2, "sar", "4")
    service.enrol("C", sighting_of("C", 1, "optical", "5"), chip=optical_png(4))
    service.enrol("C", lost, chip=None)
    service.judge("C", lost)
    service.judge(None, sighting_of("A", 7, "sar", "7", vessel_id=None))
    return service


def written(
    service: JudgedService, out: Path, *, stated_gsd_only: bool = False, replace: bool = False
) -> DatasetReport:
    with service.client() as client:
        archive = read_archive(client)
        return write_dataset(client, archive, out, stated_gsd_only=stated_gsd_only, replace=replace)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_training_reader_reads_ships_sensors_and_pixel_sizes(tmp_path: Path) -> None:
    report = written(judged_service(), tmp_path / "data")
    assert (report.ships, report.chips, report.confirmed_chips) == (1, 2, 1)
    chips = {chip.modality.value: chip for chip in read_hoss(tmp_path / "data").train}
    assert {chip.vessel_id for chip in chips.values()} == {ship_id("A").node}
    assert chips["optical"].read().gsd_m == 0.5
    sar = chips["sar"].read()
    assert sar.gsd_m == 2.0
    assert sar.pixels.shape == (40, 12)
    assert sar.pixels.dtype == np.float32


def test_the_polarisation_that_was_asked_for_is_written(tmp_path: Path) -> None:
    first, second = sar_plane(seed=1), sar_plane(seed=2)
    service = JudgedService()
    service.enrol("A", sighting_of("A", 1, "optical", "1"), chip=optical_png(1))
    asked = sighting_of("A", 2, "sar", "2", band=2)
    service.enrol("A", asked, chip=tiff_bytes(np.stack([first, second])))
    service.judge("A", asked)
    written(service, tmp_path / "data")
    chips = {chip.modality.value: chip for chip in read_hoss(tmp_path / "data").train}
    np.testing.assert_array_equal(chips["sar"].read().pixels, second)


def test_provenance_tells_where_each_chip_comes_from(tmp_path: Path) -> None:
    service = judged_service()
    written(service, tmp_path / "data")
    optical, sar = rows(tmp_path / "data" / "provenance.csv")
    assert optical["known_by"] == "enrolled"
    assert optical["match_id"] == optical["judged_by"] == ""
    assert (optical["licence"], optical["source"]) == ("CC BY 4.0", "port")
    assert optical["chip_sha256"] == "1" * 64
    assert sar["known_by"] == "confirmed"
    assert sar["match_id"] == next(iter(service.records))
    assert sar["judged_by"] == "ada"
    assert sar["judged_at"].startswith("2026-03-05T17:20:00")
    assert (sar["gsd_m"], sar["gsd_source"], sar["simulated"]) == ("2.0", "default", "false")
    assert {row["vessel_id"] for row in (optical, sar)} == {str(ship_id("A"))}
    (vessel,) = rows(tmp_path / "data" / "vessels.csv")
    assert (vessel["id"], vessel["name"]) == (str(ship_id("A").node), "SHIP A")


def test_a_rejected_match_becomes_a_pair_for_each_candidate(tmp_path: Path) -> None:
    report = written(judged_service(), tmp_path / "data")
    pairs = rows(tmp_path / "data" / "rejected.csv")
    assert [pair["vessel_id"] for pair in pairs] == [str(ship_id(name)) for name in "AB"]
    assert {pair["chip_sha256"] for pair in pairs} == {"7" * 64}
    assert {(pair["judged_by"], pair["note"]) for pair in pairs} == {("ada", "no cranes")}
    assert (report.rejected_matches, report.rejected_pairs) == (1, 2)


def test_the_report_says_what_was_left_out_and_why(tmp_path: Path) -> None:
    report = written(judged_service(), tmp_path / "data")
    reasons = {(one.kind, str(one.id)): one.reason for one in report.left_out}
    assert "one sensor only" in reasons["vessel", str(ship_id("B"))]
    assert "one sensor only" in reasons["vessel", str(ship_id("C"))]
    not_kept = [reason for (kind, _), reason in reasons.items() if kind == "sighting"]
    assert len(not_kept) == 1
    assert not_kept[0].startswith("the chip is not kept")
    assert len(rows(tmp_path / "data" / "left_out.csv")) == 3
    about = json.loads((tmp_path / "data" / "dataset.json").read_text())
    assert (about["domain"], about["ships"], about["bundle_id"]) == ("genuine", 1, "b")
    assert sum(one["count"] for one in about["left_out"]) == 3


def test_chips_of_assumed_size_can_be_left_out(tmp_path: Path) -> None:
    assert written(judged_service(), tmp_path / "data").chips_with_assumed_gsd == 1
    with pytest.raises(SourceError, match="nobody stated metres per pixel"):
        written(judged_service(), tmp_path / "strict", stated_gsd_only=True)


def test_a_folder_is_replaced_only_when_asked(tmp_path: Path) -> None:
    out = tmp_path / "data"
    written(judged_service(), out)
    (out / "old").write_text("")
    with pytest.raises(SourceError, match="exists already"):
        written(judged_service(), out)
    written(judged_service(), out, replace=True)
    assert not (out / "old").exists()


def test_an_export_that_fails_leaves_nothing(tmp_path: Path) -> None:
    service = judged_service()
    service.chips.clear()
    with pytest.raises(SourceError, match="no confirmed ship has chips of both sensors"):
        written(service, tmp_path / "data")
    assert list(tmp_path.iterdir()) == []
