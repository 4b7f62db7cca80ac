"""Retrieval with loose and turned chips, with an embedder that looks at the deck alone."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_training.data.hoss import all_chips, read_hoss
from model_training.embedding.chip_table import Embeddings
from model_training.evaluation.framing_report import measure_scenes, simulate_scenes
from model_training.evaluation.loose_crops import (
    Ships,
    choose_ships,
    crop_metrics,
    error_metrics,
    framed_chip,
    measure_crops,
    read_chips,
    rendered_ships,
    set_loose,
    turned_chip,
)
from service.contract.chip import Chip, Modality
from tests.support.inputs.scenes import ship_scene
from tests.support.training.training_data import write_chips

SHIPS = 6


def deck_profile(chips: Sequence[Chip]) -> Embeddings:
    """Embed the brightness along the chip in 16 bins, without its mean: it tells bow from stern."""
    rows = []
    for chip in chips:
        grey = chip.pixels if chip.pixels.ndim == 2 else chip.pixels.mean(axis=2)
        image = Image.fromarray(np.asarray(grey, np.float32))
        profile = np.asarray(image.resize((1, 16), Image.Resampling.BOX))[:, 0]
        rows.append(profile - profile.mean() + 1e-6)
    vectors = np.array(rows, np.float32)
    return Embeddings(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def decks(folder: Path) -> None:
    """Write ships with one bright hatch, each at another place ahead of the middle."""
    for ship in range(SHIPS):
        for modality, suffix in ((Modality.OPTICAL, "RGB"), (Modality.SAR, "SAR")):
            chip = ship_scene(modality, 0.0)[40:160, 86:114].copy()
            top = 14 + 8 * ship
            bright = 2.5 * chip[30:90, 8:20].max()
            chip[top : top + 8, 6:22] = min(bright, 255) if chip.dtype == np.uint8 else bright
            Image.fromarray(chip).save(folder / f"{ship:04d}_a_{suffix}.tif")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("decks")
    decks(folder)
    return folder


def test_both_ways_mend_turned_chips_and_framing_mends_loose_ones(folder: Path) -> None:
    ships = set_loose(all_chips(read_hoss(folder)), seed=3)
    assert all(min(chip.pixels.shape[:2]) >= 300 for chip in ships.loose)
    results = measure_crops(ships, deck_profile, draws=100, seed=0)
    for direction in ("S2O", "O2S"):
        found = {condition: by[direction].first.value for condition, by in results.items()}
        assert found["tight, as given"] == 100.0
        assert found["tight, framed, both ways"] == 100.0
        assert found["turned by 180 degrees, as given"] < 50.0
        assert found["loose, framed, both ways"] > found["loose, as given"]
        assert found["loose, framed, both ways"] >= 80.0
        assert found["loose, framed, turned as the tight chip"] >= 80.0
        assert found["loose, framed, turned as the tight chip"] > found["loose, framed, one way"]
    metrics = crop_metrics(results, "decks")
    assert len(metrics) == 8 * 2 * 3
    assert {m.name for m in metrics} == {"mAP", "R1", "MRR (0 to 1)"}
    assert "S2O, loose, framed, both ways" in {m.protocol for m in metrics}


def test_the_bow_preference_keeps_tight_chips_and_mends_turned_ones(folder: Path) -> None:
    ships = Ships(*read_chips(all_chips(read_hoss(folder))))
    results = measure_crops(ships, deck_profile, draws=100, seed=0, bow_preference=0.05)
    for direction in ("S2O", "O2S"):
        found = {condition: by[direction].first.value for condition, by in results.items()}
        assert found["tight, as served"] == 100.0
        assert found["turned by 180 degrees, as served"] > 80.0
    strict = measure_crops(ships, deck_profile, draws=100, seed=0, bow_preference=2.0)
    assert (
        strict["turned by 180 degrees, as served"]["S2O"].first
        == strict["turned by 180 degrees, as given"]["S2O"].first
    )


def test_both_ways_give_the_same_for_chips_and_their_half_turns(folder: Path) -> None:
    ships = Ships(*read_chips(all_chips(read_hoss(folder))))
    turned = replace(ships, tight=[turned_chip(chip) for chip in ships.tight])
    one = measure_crops(ships, deck_profile, draws=100, seed=0)
    other = measure_crops(turned, deck_profile, draws=100, seed=0)
    assert "loose, as given" not in one
    assert one["tight, framed, both ways"] == other["tight, framed, both ways"]


def test_a_tight_chip_passes_framing_as_the_same_object(folder: Path) -> None:
    for chip in Ships(*read_chips(all_chips(read_hoss(folder)))).tight:
        assert framed_chip(chip) is chip


def test_ships_are_chosen_whole_and_without_distractors(tmp_path: Path) -> None:
    names = [f"{i:04d}_{view}_RGB.tif" for i in range(9) for view in "ab"]
    write_chips(tmp_path, *names, "-1_x_SAR.tif")
    chosen = choose_ships(all_chips(read_hoss(tmp_path)), 4, seed=0)
    assert len(chosen) == 8
    assert len({chip.vessel_id for chip in chosen}) == 4
    assert choose_ships(all_chips(read_hoss(tmp_path)), 4, seed=1) != chosen


def test_simulated_scenes_have_tight_chips_of_the_same_acquisition_and_errors_with_truth() -> None:
    scenes = {modality: list(simulate_scenes(modality, 3, seed=5)) for modality in Modality}
    ships = rendered_ships(scenes, seed=5)
    assert ships.vessel_ids.tolist() == [0, 1, 2, 0, 1, 2]
    for tight, scene in zip(
        ships.tight, [s for part in scenes.values() for s in part], strict=True
    ):
        assert tight.modality.value == scene.modality
        assert tight.length_m == pytest.approx(scene.tight_length_m, rel=0.25)
        assert scene.beam_m < tight.width_m * 1.5
    for modality, of_sensor in scenes.items():
        errors = measure_scenes(of_sensor, [])
        metrics = {m.name: m.value for m in error_metrics(errors, modality, "scenes")}
        assert metrics["axis within 3 degrees"] == 100 * errors.axis_within_3_deg
        assert 0 <= metrics["median error of width"] < 100
