"""A tiny study of adaptation, from ships to table and picture."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from model_training.studies.adaptation import folds
from tests.support.training.archives import archive_config, write_archive
from tests.support.training.commands import run
from tests.support.training.training_data import embedded_ships

SENSOR = {
    "vessels": 14,
    "optical_views": 2,
    "sar_views": 1,
    "validation_fraction": 0.0,
    "test_fraction": 0.3,
    "distractor_fraction": 0.0,
    "sar_gsd_m": 2.0,
}


def study(folder: Path, **changes: Any) -> Path:
    config = archive_config(folder, folder / "unused", steps=2)
    (folder / "run.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    entries = {
        "out": str(folder / "study"),
        "run": str(folder / "run.yaml"),
        "ships": [4, 8],
        "sensor": SENSOR,
        "folds": 2,
        **changes,
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(entries))
    return folder / "study.yaml"


def test_a_study_measures_every_archive_and_every_genuine_ship_once(tmp_path: Path) -> None:
    genuine = write_archive(tmp_path / "genuine", 8, first=50)
    arguments = ("adaptation", study(tmp_path), "--genuine", genuine)
    result = run(*arguments, "--picture", tmp_path / "curve.png")
    assert result.exit_code == 0, result.stderr
    assert "genuine ships, 2 folds: mAP on 8 ships" in result.stdout
    assert (tmp_path / "curve.png").stat().st_size > 1000

    again = run(*arguments, "--json")
    document = json.loads(again.stdout)
    assert [point["confirmed"] for point in document["ships"]] == [4, 8]
    assert [one["ships"] for one in document["left_out"]] == [8, 8]
    for point in document["ships"]:
        assert point["test"]["ships"] == point["last"]["ships"] == 6
        assert point["held_out"]["ships"] == 1
        assert point["bundle_written"] is (point["held_out"]["gain"]["value"] > 0)
        assert point["step"] in (0, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ships": [500]}, "500 exceeds the"),
        ({"run": "model_training/configs/hoss-compact.yaml"}, "needs `kind: archive`"),
    ],
)
def test_a_study_that_cannot_be_run_is_explained(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    result = run("adaptation", study(tmp_path, **changes))
    assert result.exit_code == 2
    assert message in result.stderr


def test_every_ship_is_left_out_of_one_fold() -> None:
    chips = embedded_ships(7, distractors=2).chips
    parts = list(folds(chips, 3))
    assert sorted(len(part) for part in parts) == [2, 2, 3]
    assert frozenset().union(*parts) == set(range(1, 8))
